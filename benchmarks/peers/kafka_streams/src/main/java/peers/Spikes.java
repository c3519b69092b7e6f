package peers;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Judges what a service cost in five minutes by a running level and spread, which learn from each bucket once, as it was
 * first known, by a few spreads at most, and from no spike. What comes late is judged by what was expected before.
 */
final class Spikes {
    static final String STORE = "services";
    static final String SINK = "spikes";

    private static final double RATIO = 1.5;
    private static final double FLOOR = 1;
    private static final double DEVIATIONS = 6;
    private static final double WEIGHT = 0.05;
    private static final double REACH = 4;
    private static final double LEAST_SPREAD = 0.01;
    private static final long LEAST_HISTORY = 24;
    private static final long ACCEPT_AFTER = 288;
    private static final long FORGET = 30 * 288;
    private static final long HORIZON = 12;

    private record Key(String unit, String currency, String service) {}

    private static final class Verdict {
        BigDecimal cost;
        double expected;
        double spread;
        long history;
        long streak;
        boolean flagged;
        long revision;

        byte[] written(Packer packer) {
            return packer.putMoney(cost).putDouble(expected).putDouble(spread).putLong(history).putLong(streak)
                    .putByte(flagged ? 1 : 0).putLong(revision).taken();
        }

        static Verdict read(Packer packer) {
            Verdict verdict = new Verdict();
            verdict.cost = packer.getMoney();
            verdict.expected = packer.getDouble();
            verdict.spread = packer.getDouble();
            verdict.history = packer.getLong();
            verdict.streak = packer.getLong();
            verdict.flagged = packer.getByte() == 1;
            verdict.revision = packer.getLong();
            return verdict;
        }
    }

    private static final class Service {
        double level;
        double spread;
        long history;
        long streak;
        long last;
        final TreeMap<Long, Verdict> judged = new TreeMap<>();
    }

    private final KeyValueStore<Bytes, byte[]> store;
    private final Teller teller;
    private final Packer packer = new Packer();
    private final Map<Key, Service> services = new HashMap<>();

    /** In the store a service has its baseline under bucket -1, and its verdicts under theirs. */
    Spikes(KeyValueStore<Bytes, byte[]> store, Teller teller) {
        this.store = store;
        this.teller = teller;
        try (KeyValueIterator<Bytes, byte[]> all = store.all()) {
            while (all.hasNext()) {
                KeyValue<Bytes, byte[]> entry = all.next();
                Packer key = new Packer(entry.key.get());
                Service service = service(new Key(key.getText(), key.getText(), key.getText()));
                long bucket = key.getLong();
                Packer value = new Packer(entry.value);
                if (bucket >= 0) {
                    service.judged.put(bucket, Verdict.read(value));
                    continue;
                }
                service.level = value.getDouble();
                service.spread = value.getDouble();
                service.history = value.getLong();
                service.streak = value.getLong();
                service.last = value.getLong();
            }
        }
    }

    void judge(long due, Part part) {
        long bucket = part.place.bucket();
        if (due > bucket + Buckets.CLOSES_AFTER + HORIZON) {
            return;
        }
        Key key = new Key(part.place.unit(), part.place.currency(), part.place.service());
        Service service = service(key);
        Verdict verdict = service.judged.get(bucket);
        boolean was = verdict != null && verdict.flagged;
        if (verdict == null) {
            verdict = first(service, bucket, part.sum);
            service.judged.put(bucket, verdict);
            store.put(storeKey(key, -1), packer.putDouble(service.level).putDouble(service.spread)
                    .putLong(service.history).putLong(service.streak).putLong(service.last).taken());
        } else {
            verdict.cost = verdict.cost.add(part.sum);
            verdict.revision++;
            verdict.flagged =
                    isSpike(verdict.cost.doubleValue(), verdict.expected, verdict.spread, verdict.history);
        }
        store.put(storeKey(key, bucket), verdict.written(packer));
        if (verdict.flagged || was) {
            tell(due, key, bucket, verdict, was);
        }
        Map<Long, Verdict> old = service.judged.headMap(due - Buckets.CLOSES_AFTER - HORIZON);
        old.keySet().forEach(before -> store.delete(storeKey(key, before)));
        old.clear();
    }

    private static boolean isSpike(double cost, double level, double spread, long history) {
        double above = Math.max(level * RATIO, level + DEVIATIONS * spread);
        return history >= LEAST_HISTORY && cost > above && cost > FLOOR && cost > level;
    }

    private static Verdict first(Service service, long bucket, BigDecimal cost) {
        boolean gone = bucket - service.last > FORGET;
        Verdict verdict = new Verdict();
        verdict.cost = cost;
        verdict.expected = gone ? 0 : service.level;
        verdict.spread = gone ? 0 : service.spread;
        verdict.history = gone ? 0 : service.history;
        double value = cost.doubleValue();
        verdict.flagged = isSpike(value, verdict.expected, verdict.spread, verdict.history);
        verdict.streak = verdict.flagged ? (gone ? 0 : service.streak) + 1 : 0;
        learn(service, value, verdict);
        service.last = Math.max(service.last, bucket);
        return verdict;
    }

    private static void learn(Service service, double value, Verdict verdict) {
        service.streak = verdict.streak;
        service.history = verdict.history;
        service.level = verdict.expected;
        service.spread = verdict.spread;
        if (verdict.flagged) {
            if (verdict.streak >= ACCEPT_AFTER) { // the new normal: begin anew
                service.history = 0;
                service.streak = 0;
            }
            return;
        }
        service.history++;
        if (verdict.history == 0) {
            service.level = value;
            service.spread = 0;
            return;
        }
        double weight = verdict.history < LEAST_HISTORY ? Math.max(WEIGHT, 1.0 / (verdict.history + 1)) : WEIGHT;
        double limit = REACH * (verdict.spread + LEAST_SPREAD * Math.abs(verdict.expected));
        double away = value - verdict.expected;
        double step = limit > 0 ? Math.max(-limit, Math.min(limit, away)) : away;
        service.level = verdict.expected + weight * step;
        service.spread = verdict.spread + weight * (Math.abs(step) - verdict.spread);
    }

    private void tell(long due, Key key, long bucket, Verdict verdict, boolean was) {
        BigDecimal expected = BigDecimal.valueOf(verdict.expected).setScale(6, RoundingMode.HALF_EVEN);
        BigDecimal excess = verdict.cost.subtract(expected);
        double ratio = verdict.expected > 0 ? verdict.cost.doubleValue() / verdict.expected : Double.NaN;
        double percent = (ratio - 1) * 100;
        String start = Times.write(Buckets.start(bucket));
        String identity = String.join("|", "cost_spike", key.unit(), key.service(), key.currency(), start);
        Json.Line line = new Json.Line()
                .text("anomaly_id", UUID.nameUUIDFromBytes(identity.getBytes(StandardCharsets.UTF_8)).toString())
                .time("detected_at", Buckets.start(due)).text("anomaly_type", "cost_spike")
                .text("business_unit", key.unit()).text("service", key.service()).text("currency", key.currency())
                .text("window_start", start).time("window_end", Buckets.start(bucket + 1))
                .money("cost_amount", verdict.cost).money("expected_amount", expected).money("excess_amount", excess)
                .number("ratio", ratio)
                .number("deviation", verdict.spread > 0 ? excess.doubleValue() / verdict.spread : Double.NaN)
                .number("deviation_percent", percent)
                .text("business_impact", percent <= 50 ? "MEDIUM" : percent <= 100 ? "HIGH" : "CRITICAL")
                .number("history", verdict.history).number("streak", verdict.streak)
                .text("status", !verdict.flagged ? "withdrawn" : was ? "revised" : "raised")
                .number("revision", verdict.revision).flag("resolved", !verdict.flagged);
        teller.tell(SINK, key.unit(), line, Buckets.start(bucket));
    }

    private Service service(Key key) {
        return services.computeIfAbsent(key, of -> new Service());
    }

    private Bytes storeKey(Key key, long bucket) {
        return packer.putText(key.unit()).putText(key.currency()).putText(key.service()).putLong(bucket).key();
    }
}
