package peers;

import java.math.BigDecimal;
import java.util.Arrays;

/** What the use of a resource in the days up to one calls for. */
record Advice(double quantile, double mean, double coverage, int offHours) {
    static final int KEEP = 0;
    static final int TERMINATE = 1;
    static final int UPSIZE = 2;
    static final int SCHEDULE = 3;
    static final int DOWNSIZE = 4;
    static final String[] NAMES = {"keep", "terminate", "upsize", "schedule-off", "downsize"};

    private static final int MONTH_HOURS = 730;
    private static final double WEEK = 168;
    private static final double QUANTILE = 0.95;
    private static final double IDLE = 0.03;
    private static final double LOW = 0.4;
    private static final double HIGH = 0.85;
    private static final double OFF_LEAST = 0.25;
    private static final double COVERAGE_LEAST = 0.5;
    private static final double SLACK = 0.1;
    private static final int HOLD = 2;
    private static final double SIZE_RATIO = 0.5; // capacity and price of the next smaller size
    private static final int FIRST_WEEKDAY = 3; // 1 January 1970 was a Thursday

    /** Sum up the window that ends with {@code day}; null if nothing is known of it. */
    static Advice of(Resource resource, long day) {
        int from = (int) (day - Resource.WINDOW - resource.lastDay + Resource.KEPT) * Resource.HOURS;
        int hours = Resource.WINDOW * Resource.HOURS;
        if (from < 0 || from + hours > resource.ring.length) {
            return null;
        }
        int[] levels = new int[hours];
        int known = 0;
        long sum = 0;
        boolean[][] seen = new boolean[2][Resource.HOURS];
        boolean[][] busy = new boolean[2][Resource.HOURS];
        for (int at = 0; at < hours; at++) {
            int level = resource.ring[from + at] & 0xff;
            if (level == Resource.UNKNOWN) {
                continue;
            }
            levels[known++] = level;
            sum += level;
            long weekday = Math.floorMod(day - Resource.WINDOW + 1 + at / Resource.HOURS + FIRST_WEEKDAY, 7);
            int kind = weekday >= 5 ? 1 : 0;
            seen[kind][at % Resource.HOURS] = true;
            busy[kind][at % Resource.HOURS] |= level > IDLE * Resource.STEPS;
        }
        if (known == 0) {
            return null;
        }
        Arrays.sort(levels, 0, known);
        int place = Math.max((int) Math.ceil(QUANTILE * known) - 1, 0);
        int off = 0;
        for (int hour = 0; hour < Resource.HOURS; hour++) {
            off += seen[0][hour] && !busy[0][hour] ? 5 : 0;
            off += seen[1][hour] && !busy[1][hour] ? 2 : 0;
        }
        return new Advice(levels[place] / (double) Resource.STEPS, sum / (double) known / Resource.STEPS,
                known / (double) hours, off);
    }

    /** Let the resource's advice change, if the same other advice has come on enough days in a row. */
    void apply(Resource resource) {
        int wanted = coverage >= COVERAGE_LEAST ? wanted(resource.given) : resource.given;
        if (wanted == resource.given) {
            resource.days = 0;
        } else {
            resource.days = wanted == resource.candidate ? resource.days + 1 : 1;
        }
        resource.candidate = wanted;
        if (resource.days >= HOLD) {
            resource.given = wanted;
            resource.days = 0;
        }
    }

    /** The limits of the advice that stands are wider by the slack. */
    private int wanted(int given) {
        double off = offHours / WEEK;
        double saves = 1 - SIZE_RATIO;
        boolean downsize = quantile <= LOW * wider(given, DOWNSIZE);
        if (quantile <= IDLE * wider(given, TERMINATE)) {
            return TERMINATE;
        }
        if (quantile >= HIGH * (2 - wider(given, UPSIZE))) {
            return UPSIZE;
        }
        if (off >= OFF_LEAST * (2 - wider(given, SCHEDULE)) && !(downsize && saves >= off)) {
            return SCHEDULE;
        }
        return downsize ? DOWNSIZE : KEEP;
    }

    private static double wider(int given, int action) {
        return given == action ? 1 + SLACK : 1;
    }

    /** From 0 to 1: coverage, times how far (from a half to all the way) the limit is passed. */
    double confidence(int given) {
        double margin = switch (given) {
            case TERMINATE -> 1 - quantile / IDLE;
            case UPSIZE -> (quantile - HIGH) / (1 - HIGH);
            case SCHEDULE -> (offHours / WEEK - OFF_LEAST) / (1 - OFF_LEAST);
            case DOWNSIZE -> 1 - quantile / LOW;
            default -> 1;
        };
        return coverage * (1 + Math.max(0, Math.min(1, margin))) / 2;
    }

    /** What a month costs less; null without a price. */
    BigDecimal monthlySaving(int given, BigDecimal hourly) {
        if (hourly == null) {
            return null;
        }
        double hours = switch (given) {
            case TERMINATE -> MONTH_HOURS;
            case DOWNSIZE -> MONTH_HOURS * (1 - SIZE_RATIO);
            case UPSIZE -> -MONTH_HOURS * (1 / SIZE_RATIO - 1);
            case SCHEDULE -> offHours * MONTH_HOURS / WEEK;
            default -> 0;
        };
        return hourly.multiply(BigDecimal.valueOf(Math.round(hours)));
    }
}
