package peers;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** The command line of all programs: pairs of {@code --name value}. */
final class Options {
    private static final Set<String> NEEDED = Set.of("--bootstrap", "--application", "--prefix", "--out", "--state-dir");
    private static final Set<String> KNOWN =
            Set.of("--bootstrap", "--application", "--prefix", "--out", "--state-dir", "--threads", "--commit-ms",
                    "--grace-hours", "--idle-ms", "--join-by");

    private final Map<String, String> given = new HashMap<>();

    Options(String[] args) {
        for (int at = 0; at < args.length; at += 2) {
            if (!KNOWN.contains(args[at]) || at + 1 == args.length) {
                throw new IllegalArgumentException("'" + args[at] + "' is no option with a value; there are " + KNOWN);
            }
            given.put(args[at], args[at + 1]);
        }
        for (String name : NEEDED) {
            if (!given.containsKey(name)) {
                throw new IllegalArgumentException(name + " is missing; needed are " + NEEDED);
            }
        }
    }

    String bootstrap() {
        return given.get("--bootstrap");
    }

    /** Also the consumer group. */
    String application() {
        return given.get("--application");
    }

    /** An input topic. */
    String input(String topic) {
        return given.get("--prefix") + topic;
    }

    /** An output topic. */
    String output(String topic) {
        return given.get("--out") + topic;
    }

    String stateDir() {
        return given.get("--state-dir");
    }

    int threads() {
        return (int) number("--threads", 2);
    }

    long commitMs() {
        return number("--commit-ms", 100);
    }

    /** How long after its end a window still takes events. */
    long graceHours() {
        return number("--grace-hours", 48);
    }

    /** After so long without an event what is open is closed. */
    long idleMs() {
        return number("--idle-ms", 60_000);
    }

    /** Of {@link Article}: whether cost and revenue meet by business unit, not by the article's own keys. */
    boolean joinsByUnit() {
        return given.getOrDefault("--join-by", "own").equals("unit");
    }

    private long number(String name, long otherwise) {
        return given.containsKey(name) ? Long.parseLong(given.get(name)) : otherwise;
    }
}
