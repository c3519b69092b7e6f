package peers;

import java.math.BigDecimal;
import java.util.Arrays;
import java.util.TreeMap;

/** What is known of a resource: its use by the hour in two-hundredths, and the advice that stands. */
final class Resource {
    static final int HOURS = 24;
    static final int STEPS = 200;
    static final int UNKNOWN = 255;

    /** Days that are looked at, and one more, which begins while the last of them is still open. */
    static final int WINDOW = 14;
    static final int KEPT = WINDOW + 1;

    record Key(String unit, String id, String currency) {}

    String service;
    String type;
    BigDecimal price;
    long lastDay = Long.MIN_VALUE;
    int given;
    int candidate;
    int days;

    /** Hours of the last days, the oldest first, up to the end of {@code lastDay}. */
    final byte[] ring = new byte[KEPT * HOURS];

    /** Hours that are not written into the ring yet. */
    final TreeMap<Long, Integer> open = new TreeMap<>();

    Resource() {
        Arrays.fill(ring, (byte) UNKNOWN);
    }

    /** Write an hour into the ring; of all for one hour the largest counts, and what is too old is left out. */
    void note(long hour, int level) {
        long day = Math.floorDiv(hour, HOURS);
        if (lastDay == Long.MIN_VALUE) {
            lastDay = day;
        }
        if (day > lastDay) {
            int gone = (int) Math.min(day - lastDay, KEPT) * HOURS;
            System.arraycopy(ring, gone, ring, 0, ring.length - gone);
            Arrays.fill(ring, ring.length - gone, ring.length, (byte) UNKNOWN);
            lastDay = day;
        }
        long place = hour - (lastDay + 1 - KEPT) * HOURS;
        if (place >= 0) {
            int before = ring[(int) place] & 0xff;
            ring[(int) place] = (byte) (before == UNKNOWN ? level : Math.max(before, level));
        }
    }

    byte[] written(Packer packer) {
        packer.putText(service).putText(type).putMoney(price).putLong(lastDay);
        return packer.putByte(given).putByte(candidate).putByte(days).putRaw(ring).taken();
    }

    void read(Packer packer) {
        service = packer.getText();
        type = packer.getText();
        price = packer.getMoney();
        lastDay = packer.getLong();
        given = packer.getByte();
        candidate = packer.getByte();
        days = packer.getByte();
        System.arraycopy(packer.getRaw(), 0, ring, 0, ring.length);
    }
}
