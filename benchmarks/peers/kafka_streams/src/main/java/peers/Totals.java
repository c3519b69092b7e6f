package peers;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** The exact sums of a window, one for each currency; nearly always there is one. */
final class Totals {
    /** A sum of amounts, and how many they were. */
    static final class Total {
        final String currency;
        BigDecimal sum;
        long events;

        Total(String currency, BigDecimal sum, long events) {
            this.currency = currency;
            this.sum = sum;
            this.events = events;
        }
    }

    final List<Total> byCurrency = new ArrayList<>(1);

    Totals add(Cost cost) {
        for (Total total : byCurrency) {
            if (total.currency.equals(cost.currency())) {
                total.sum = total.sum.add(cost.amount());
                total.events++;
                return this;
            }
        }
        byCurrency.add(new Total(cost.currency(), cost.amount(), 1));
        return this;
    }

    /** Each total: length and bytes of the currency, events, scale, length and bytes of the unscaled sum. */
    static Serde<Totals> serde() {
        return Serdes.serdeFrom((topic, totals) -> write(totals), (topic, bytes) -> read(bytes));
    }

    private static byte[] write(Totals totals) {
        if (totals == null) {
            return null;
        }
        int size = 0;
        List<byte[]> parts = new ArrayList<>(2 * totals.byCurrency.size());
        for (Total total : totals.byCurrency) {
            byte[] currency = total.currency.getBytes(StandardCharsets.UTF_8);
            byte[] unscaled = total.sum.unscaledValue().toByteArray();
            parts.add(currency);
            parts.add(unscaled);
            size += 2 + currency.length + 8 + 4 + 2 + unscaled.length;
        }
        ByteBuffer bytes = ByteBuffer.allocate(size);
        for (int at = 0; at < totals.byCurrency.size(); at++) {
            Total total = totals.byCurrency.get(at);
            byte[] currency = parts.get(2 * at);
            byte[] unscaled = parts.get(2 * at + 1);
            bytes.putShort((short) currency.length).put(currency).putLong(total.events).putInt(total.sum.scale());
            bytes.putShort((short) unscaled.length).put(unscaled);
        }
        return bytes.array();
    }

    private static Totals read(byte[] written) {
        if (written == null) {
            return null;
        }
        Totals totals = new Totals();
        ByteBuffer bytes = ByteBuffer.wrap(written);
        while (bytes.hasRemaining()) {
            String currency = text(bytes);
            long events = bytes.getLong();
            int scale = bytes.getInt();
            byte[] unscaled = new byte[bytes.getShort()];
            bytes.get(unscaled);
            totals.byCurrency.add(new Total(currency, new BigDecimal(new BigInteger(unscaled), scale), events));
        }
        return totals;
    }

    private static String text(ByteBuffer bytes) {
        int length = bytes.getShort();
        String text = new String(bytes.array(), bytes.position(), length, StandardCharsets.UTF_8);
        bytes.position(bytes.position() + length);
        return text;
    }
}
