package peers;

import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;

/** ISO 8601 in UTC to milliseconds since 1970 and back. */
final class Times {
    /** No time: what was read is none. */
    static final long NONE = Long.MIN_VALUE;

    /** Days beyond 28 that each month has in every year. */
    private static final int[] LONGER = {0, 3, 0, 3, 2, 3, 2, 3, 3, 2, 3, 2, 3};

    private Times() {}

    /** Milliseconds of {@code 2025-10-01T00:05:00[.…]Z}, or of any other ISO 8601 time with a zone; else NONE. */
    static long read(char[] text, int from, int length) {
        if (length >= 20 && length <= 30 && text[from + length - 1] == 'Z' && text[from + 10] == 'T') {
            long millis = layout(text, from, length);
            if (millis != NONE) {
                return millis;
            }
        }
        try {
            return OffsetDateTime.parse(new String(text, from, length)).toInstant().toEpochMilli();
        } catch (DateTimeParseException | ArithmeticException error) {
            return NONE;
        }
    }

    static String write(long millis) {
        return Instant.ofEpochMilli(millis).toString();
    }

    private static long layout(char[] text, int from, int length) {
        int year = digits(text, from, 4);
        int month = digits(text, from + 5, 2);
        int day = digits(text, from + 8, 2);
        int hour = digits(text, from + 11, 2);
        int minute = digits(text, from + 14, 2);
        int second = digits(text, from + 17, 2);
        boolean plain = (year | month | day | hour | minute | second) >= 0
                && text[from + 4] == '-' && text[from + 7] == '-' && text[from + 13] == ':' && text[from + 16] == ':'
                && month >= 1 && month <= 12 && day >= 1 && day <= 28 + LONGER[month] && hour < 24 && minute < 60
                && second < 60;
        if (!plain) {
            return NONE; // java.time says whether it is a time all the same
        }
        int millis = 0;
        if (length > 20) {
            if (text[from + 19] != '.') {
                return NONE;
            }
            for (int at = 20, weight = 100; at < length - 1; at++, weight /= 10) {
                int digit = text[from + at] - '0';
                if (digit < 0 || digit > 9) {
                    return NONE;
                }
                millis += digit * weight;
            }
        }
        return ((days(year, month, day) * 24 + hour) * 60 + minute) * 60_000L + second * 1_000L + millis;
    }

    /** Days since 1970 of a day of the Gregorian calendar, counted in years that begin in March. */
    private static long days(int year, int month, int day) {
        int shifted = month <= 2 ? year - 1 : year;
        int era = shifted / 400;
        int ofEra = shifted - era * 400;
        int ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
        return era * 146_097L + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468;
    }

    private static int digits(char[] text, int from, int count) {
        int value = 0;
        for (int at = from; at < from + count; at++) {
            int digit = text[at] - '0';
            if (digit < 0 || digit > 9) {
                return -1;
            }
            value = value * 10 + digit;
        }
        return value;
    }
}
