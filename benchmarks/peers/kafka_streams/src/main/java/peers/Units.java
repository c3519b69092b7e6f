package peers;

import java.math.BigDecimal;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/** What each unit cost in five minutes, and what it earned against what it cost within half an hour around. */
final class Units {
    static final String STORE = "units";
    static final String WINDOWS = "windows";
    static final String RETURNS = "returns";

    private static final long REACH = 6; // buckets: half an hour
    private static final long HORIZON = 72; // six hours; what is later is told of as a difference only
    private static final long KEPT = Buckets.CLOSES_AFTER + HORIZON + 2 * REACH;

    /** Asks to be told of a bucket's return later. */
    interface Reminder {
        void remind(long due, String unit, String currency, long bucket);
    }

    /** The sums of one bucket as they were told last. */
    private static final class Slot {
        BigDecimal cost = BigDecimal.ZERO;
        BigDecimal revenue = BigDecimal.ZERO;
        BigDecimal costOfReturn = BigDecimal.ZERO;
        BigDecimal revenueOfReturn = BigDecimal.ZERO;
        long costEvents;
        long revenueEvents;
        long lateEvents;
        long revision = -1;
        long returnRevision = -1;

        byte[] written(Packer packer) {
            packer.putMoney(cost).putMoney(revenue).putMoney(costOfReturn).putMoney(revenueOfReturn);
            return packer.putLong(costEvents).putLong(revenueEvents).putLong(lateEvents).putLong(revision)
                    .putLong(returnRevision).taken();
        }

        static Slot read(Packer packer) {
            Slot slot = new Slot();
            slot.cost = packer.getMoney();
            slot.revenue = packer.getMoney();
            slot.costOfReturn = packer.getMoney();
            slot.revenueOfReturn = packer.getMoney();
            slot.costEvents = packer.getLong();
            slot.revenueEvents = packer.getLong();
            slot.lateEvents = packer.getLong();
            slot.revision = packer.getLong();
            slot.returnRevision = packer.getLong();
            return slot;
        }
    }

    private record Key(String unit, String currency) {}

    private final KeyValueStore<Bytes, byte[]> store;
    private final Teller teller;
    private final Reminder reminder;
    private final Packer packer = new Packer();
    private final Map<Key, TreeMap<Long, Slot>> units = new HashMap<>();

    Units(KeyValueStore<Bytes, byte[]> store, Teller teller, Reminder reminder) {
        this.store = store;
        this.teller = teller;
        this.reminder = reminder;
        try (KeyValueIterator<Bytes, byte[]> all = store.all()) {
            while (all.hasNext()) {
                KeyValue<Bytes, byte[]> entry = all.next();
                Packer key = new Packer(entry.key.get());
                slots(new Key(key.getText(), key.getText())).put(key.getLong(), Slot.read(new Packer(entry.value)));
            }
        }
    }

    /** Tell of what is due for one unit and currency: parts by kind, costs by service, then by bucket. */
    void settle(long due, List<Part> parts) {
        Key key = new Key(parts.get(0).place.unit(), parts.get(0).place.currency());
        TreeMap<Long, Slot> slots = slots(key);
        TreeMap<Long, Part> costs = new TreeMap<>();
        TreeSet<Long> changed = new TreeSet<>();
        TreeSet<Long> returns = new TreeSet<>();
        for (Part part : parts) {
            long bucket = part.place.bucket();
            if (part.place.kind() == Part.COST) {
                costs.merge(bucket, new Part(part.place, null, part.sum, part.events), Units::both);
            } else if (part.place.kind() == Part.RETURN) {
                returns.add(bucket);
            } else if (isBeyond(due, bucket)) {
                returnBeyond(due, key, bucket, BigDecimal.ZERO, part.sum);
            } else {
                Slot slot = slots.computeIfAbsent(bucket, at -> new Slot());
                slot.revenue = slot.revenue.add(part.sum);
                slot.revenueEvents += part.events;
                changed.add(bucket);
            }
        }
        costs.forEach((bucket, cost) -> window(due, key, slots, cost, changed));
        changed.forEach(bucket -> plan(due, key, slots, bucket, returns));
        returns.forEach(bucket -> tellReturn(due, key, slots, bucket));
        changed.addAll(returns);
        changed.forEach(bucket -> write(key, bucket, slots.get(bucket)));
        forget(key, slots, due - KEPT);
    }

    private static Part both(Part one, Part other) {
        one.sum = one.sum.add(other.sum);
        one.events += other.events;
        return one;
    }

    private static boolean isBeyond(long due, long bucket) {
        return due > bucket + Buckets.CLOSES_AFTER + HORIZON;
    }

    private void window(long due, Key key, TreeMap<Long, Slot> slots, Part cost, TreeSet<Long> changed) {
        long bucket = cost.place.bucket();
        Slot slot = new Slot(); // beyond the horizon: the difference is all there is
        boolean beyond = isBeyond(due, bucket);
        if (!beyond) {
            slot = slots.computeIfAbsent(bucket, at -> new Slot());
            changed.add(bucket);
        }
        slot.cost = slot.cost.add(cost.sum);
        slot.costEvents += cost.events;
        slot.lateEvents += due > bucket + Buckets.CLOSES_AFTER ? cost.events : 0;
        slot.revision++;
        Json.Line line = head(key).time("window_start", Buckets.start(bucket))
                .time("window_end", Buckets.start(bucket + 1)).money("total_cost", beyond ? null : slot.cost)
                .money("delta_cost", cost.sum).number("events", slot.costEvents)
                .number("late_events", slot.lateEvents).raw("revision", beyond ? "null" : "" + slot.revision)
                .flag("beyond_horizon", beyond).time("closed_at", Buckets.start(due));
        teller.tell(WINDOWS, key.unit(), line, Buckets.start(bucket));
        if (beyond) {
            returnBeyond(due, key, bucket, cost.sum, BigDecimal.ZERO);
        }
    }

    /** Say which returns a change of a bucket touches: those told already around it now, its own when its time comes. */
    private void plan(long due, Key key, TreeMap<Long, Slot> slots, long bucket, TreeSet<Long> returns) {
        slots.subMap(bucket - REACH + 1, true, bucket + REACH, true).forEach((other, slot) -> {
            if (slot.returnRevision >= 0) {
                returns.add(other);
            }
        });
        long closes = bucket + REACH - 1 + Buckets.CLOSES_AFTER;
        if (slots.get(bucket).returnRevision < 0) {
            if (closes <= due) {
                returns.add(bucket);
            } else {
                reminder.remind(closes, key.unit(), key.currency(), bucket);
            }
        }
    }

    private void tellReturn(long due, Key key, TreeMap<Long, Slot> slots, long bucket) {
        BigDecimal cost = BigDecimal.ZERO;
        BigDecimal revenue = BigDecimal.ZERO;
        long costEvents = 0;
        long revenueEvents = 0;
        for (Slot slot : slots.subMap(bucket - REACH, true, bucket + REACH, false).values()) {
            cost = cost.add(slot.cost);
            revenue = revenue.add(slot.revenue);
            costEvents += slot.costEvents;
            revenueEvents += slot.revenueEvents;
        }
        Slot own = slots.get(bucket);
        own.returnRevision++;
        BigDecimal gain = revenue.subtract(cost);
        double rate = cost.signum() > 0 ? gain.doubleValue() / cost.doubleValue() : Double.NaN;
        Json.Line line = returnHead(key, bucket).money("cost", cost).money("revenue", revenue).money("gain", gain)
                .number("roi", rate).number("roi_percentage", rate * 100).number("cost_events", costEvents)
                .number("revenue_events", revenueEvents).money("delta_cost", own.cost.subtract(own.costOfReturn))
                .money("delta_revenue", own.revenue.subtract(own.revenueOfReturn))
                .number("revision", own.returnRevision).flag("beyond_horizon", false)
                .time("calculated_at", Buckets.start(due));
        own.costOfReturn = own.cost;
        own.revenueOfReturn = own.revenue;
        teller.tell(RETURNS, key.unit(), line, Buckets.start(bucket));
    }

    private void returnBeyond(long due, Key key, long bucket, BigDecimal cost, BigDecimal revenue) {
        Json.Line line = returnHead(key, bucket).money("delta_cost", cost).money("delta_revenue", revenue)
                .raw("revision", "null").flag("beyond_horizon", true).time("calculated_at", Buckets.start(due));
        teller.tell(RETURNS, key.unit(), line, Buckets.start(bucket));
    }

    private static Json.Line head(Key key) {
        return new Json.Line().text("business_unit", key.unit()).text("currency", key.currency());
    }

    private static Json.Line returnHead(Key key, long bucket) {
        return head(key).time("timestamp", Buckets.start(bucket)).time("window_start", Buckets.start(bucket - REACH))
                .time("window_end", Buckets.start(bucket + REACH));
    }

    private TreeMap<Long, Slot> slots(Key key) {
        return units.computeIfAbsent(key, unit -> new TreeMap<>());
    }

    private void write(Key key, long bucket, Slot slot) {
        store.put(storeKey(key, bucket), slot.written(packer));
    }

    private void forget(Key key, TreeMap<Long, Slot> slots, long before) {
        Map<Long, Slot> old = slots.headMap(before);
        old.keySet().forEach(bucket -> store.delete(storeKey(key, bucket)));
        old.clear();
    }

    private Bytes storeKey(Key key, long bucket) {
        return packer.putText(key.unit()).putText(key.currency()).putLong(bucket).key();
    }
}
