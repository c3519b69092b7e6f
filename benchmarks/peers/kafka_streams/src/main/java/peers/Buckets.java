package peers;

/** Time in buckets of five minutes, numbered since 1970, and when what is known of one is told. */
final class Buckets {
    static final long LENGTH_MS = 300_000;

    /** A bucket closes so many buckets after it began: its own length, and five minutes for what comes late. */
    static final long CLOSES_AFTER = 2;

    private Buckets() {}

    static long of(long millis) {
        return Math.floorDiv(millis, LENGTH_MS);
    }

    static long start(long bucket) {
        return bucket * LENGTH_MS;
    }
}
