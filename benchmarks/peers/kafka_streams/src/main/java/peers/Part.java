package peers;

import java.math.BigDecimal;
import org.apache.kafka.common.utils.Bytes;

/** Amounts of one bucket that are told of together, because they came before the same time. */
final class Part {
    /** What a part is: cost or revenue, or only the reminder that the return of its bucket is to be told. */
    static final int COST = 0;
    static final int REVENUE = 1;
    static final int RETURN = 2;

    /** When it is told of, and what it belongs to; {@code service} is empty but for costs. */
    record Place(long due, int kind, String unit, String currency, String service, long bucket) {
        Bytes key(Packer packer) {
            return packer.putLong(due).putByte(kind).putText(unit).putText(currency).putText(service).putLong(bucket)
                    .key();
        }

        static Place read(Packer packer) {
            return new Place(packer.getLong(), packer.getByte(), packer.getText(), packer.getText(), packer.getText(),
                    packer.getLong());
        }
    }

    final Place place;
    final Bytes key;
    BigDecimal sum;
    long events;

    Part(Place place, Bytes key, BigDecimal sum, long events) {
        this.place = place;
        this.key = key;
        this.sum = sum;
        this.events = events;
    }

    byte[] value(Packer packer) {
        return packer.putMoney(sum).putLong(events).taken();
    }
}
