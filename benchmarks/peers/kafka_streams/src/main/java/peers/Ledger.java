package peers;

import java.math.BigDecimal;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Adds costs and revenues up by bucket, and tells of a bucket when the watermark (the latest time seen) has passed it;
 * what comes later is added up too, and told of when the bucket is over in which it came.
 *
 * <p>What is open lies in a map, written through to the store at each event; the store is read at the start only.
 */
final class Ledger implements Processor<byte[], Event, byte[], byte[]> {
    static final String STORE = "parts";

    private static final Bytes MARK = Bytes.wrap(new byte[] {-1});
    private static final Duration LOOK = Duration.ofSeconds(1);
    private static final Comparator<Part> ORDER = Comparator.comparing((Part part) -> part.place.unit())
            .thenComparing(part -> part.place.currency()).thenComparing(part -> part.place.kind())
            .thenComparing(part -> part.place.service()).thenComparing(part -> part.place.bucket());

    private final long idleMs;
    private final Packer packer = new Packer();
    private final TreeMap<Long, Map<Part.Place, Part>> open = new TreeMap<>();

    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<Bytes, byte[]> store;
    private Teller teller;
    private Units units;
    private Spikes spikes;
    private long seen;
    private long told;
    private long heardAt;

    Ledger(long idleMs) {
        this.idleMs = idleMs;
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        this.context = context;
        store = context.getStateStore(STORE);
        teller = new Teller(context);
        units = new Units(context.getStateStore(Units.STORE), teller, this::remind);
        spikes = new Spikes(context.getStateStore(Spikes.STORE), teller);
        heardAt = context.currentSystemTimeMs();
        restore();
        context.schedule(LOOK, PunctuationType.WALL_CLOCK_TIME, now -> {
            if (now - heardAt > idleMs) {
                closeUpTo(Long.MAX_VALUE);
            }
        });
    }

    @Override
    public void process(Record<byte[], Event> record) {
        Event event = record.value();
        if (event.fault() != null) {
            teller.bury(record);
            return;
        }
        heardAt = context.currentSystemTimeMs();
        seen = Math.max(seen, event.timestamp());
        long epoch = Buckets.of(seen);
        long bucket = Buckets.of(event.timestamp());
        long due = Math.max(epoch + 1, bucket + Buckets.CLOSES_AFTER);
        boolean cost = event.kind() == Event.Kind.COST;
        String service = cost && event.service() != null ? event.service() : "";
        add(new Part.Place(due, cost ? Part.COST : Part.REVENUE, event.unit(), event.currency(), service, bucket),
                event.amount(), 1);
        if (epoch > told) {
            closeUpTo(epoch);
            told = epoch;
            store.put(MARK, packer.putLong(seen).putLong(told).taken());
        }
    }

    private void add(Part.Place place, BigDecimal amount, long events) {
        Map<Part.Place, Part> parts = open.computeIfAbsent(place.due(), due -> new HashMap<>());
        Part part = parts.get(place);
        if (part == null) {
            part = new Part(place, place.key(packer), amount, events);
            parts.put(place, part);
        } else {
            part.sum = part.sum.add(amount);
            part.events += events;
        }
        store.put(part.key, part.value(packer));
    }

    /** To tell, when it is time, of the return of a bucket. */
    private void remind(long due, String unit, String currency, long bucket) {
        add(new Part.Place(due, Part.RETURN, unit, currency, "", bucket), BigDecimal.ZERO, 0);
    }

    private void closeUpTo(long epoch) {
        while (!open.isEmpty() && open.firstKey() <= epoch) {
            Map.Entry<Long, Map<Part.Place, Part>> first = open.pollFirstEntry();
            List<Part> parts = new ArrayList<>(first.getValue().values());
            parts.sort(ORDER);
            close(first.getKey(), parts);
            parts.forEach(part -> store.delete(part.key));
        }
    }

    private void close(long due, List<Part> parts) {
        int from = 0;
        for (int at = 0; at < parts.size(); at++) {
            Part part = parts.get(at);
            if (part.place.kind() == Part.COST) {
                spikes.judge(due, part);
            }
            boolean last = at + 1 == parts.size() || !sameUnit(part, parts.get(at + 1));
            if (last) {
                units.settle(due, parts.subList(from, at + 1));
                from = at + 1;
            }
        }
    }

    private static boolean sameUnit(Part one, Part other) {
        return one.place.unit().equals(other.place.unit()) && one.place.currency().equals(other.place.currency());
    }

    private void restore() {
        open.clear();
        seen = 0;
        told = 0;
        try (KeyValueIterator<Bytes, byte[]> all = store.all()) {
            while (all.hasNext()) {
                KeyValue<Bytes, byte[]> entry = all.next();
                Packer value = new Packer(entry.value);
                if (entry.key.equals(MARK)) {
                    seen = value.getLong();
                    told = value.getLong();
                    continue;
                }
                Part.Place place = Part.Place.read(new Packer(entry.key.get()));
                Part part = new Part(place, entry.key, value.getMoney(), value.getLong());
                open.computeIfAbsent(place.due(), due -> new HashMap<>()).put(place, part);
            }
        }
    }
}
