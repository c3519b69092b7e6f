package peers;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Keeps the use of each resource by the hour, looks at it when a day (UTC) has been over for two hours, and tells of
 * advice that changed. As in {@link Ledger}, a map is written through to the store.
 */
final class Sizes implements Processor<byte[], Event, byte[], byte[]> {
    static final String STORE = "resources";
    static final String SINK = "sizes";

    private static final long HOUR_MS = 3_600_000;
    private static final long OPEN_HOURS = 2;
    private static final long WHOLE = -1; // in place of an hour: the resource itself
    private static final Resource.Key NOBODY = new Resource.Key("", "", "");

    private final Packer packer = new Packer();
    private final Map<Resource.Key, Resource> resources = new HashMap<>();
    private final Set<Resource.Key> changed = new LinkedHashSet<>();

    private KeyValueStore<Bytes, byte[]> store;
    private Teller teller;
    private long seen;
    private long looked; // the last day that was looked at, since 1970

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        store = context.getStateStore(STORE);
        teller = new Teller(context);
        restore();
    }

    @Override
    public void process(Record<byte[], Event> record) {
        Event event = record.value();
        if (event.fault() != null) {
            teller.bury(record);
            return;
        }
        long before = Math.floorDiv(seen, HOUR_MS);
        seen = Math.max(seen, event.timestamp());
        long now = Math.floorDiv(seen, HOUR_MS);
        if (now > before) {
            closeHours();
            look(now);
        }
        note(event);
    }

    private void note(Event event) {
        Resource.Key key = new Resource.Key(event.unit(), event.resource(), event.currency());
        Resource resource = resources.computeIfAbsent(key, of -> new Resource());
        resource.service = event.service();
        resource.type = event.type();
        resource.price = event.amount();
        int level = (int) Math.min(Math.ceil(event.use() * Resource.STEPS), Resource.STEPS);
        long hour = Math.floorDiv(event.timestamp(), HOUR_MS);
        int most = resource.open.merge(hour, level, Math::max);
        changed.add(key);
        packer.putByte(most).putText(resource.service).putText(resource.type).putMoney(resource.price);
        byte[] value = packer.taken();
        store.put(storeKey(key, hour), value);
    }

    /** Write what came until now into the rings. */
    private void closeHours() {
        for (Resource.Key key : changed) {
            Resource resource = resources.get(key);
            resource.open.forEach((at, level) -> {
                resource.note(at, level);
                store.delete(storeKey(key, at));
            });
            resource.open.clear();
            store.put(storeKey(key, WHOLE), resource.written(packer));
        }
        changed.clear();
        store.put(storeKey(NOBODY, WHOLE), packer.putLong(seen).putLong(looked).taken());
    }

    /** Look at the days that have been over for long enough. */
    private void look(long hour) {
        long last = Math.floorDiv(hour - OPEN_HOURS, Resource.HOURS) - 1;
        if (looked == 0) {
            looked = last; // before the first event nothing is known
        }
        while (looked < last) {
            looked++;
            if (last - looked < Resource.KEPT) {
                long day = looked;
                resources.forEach((key, resource) -> advise(key, resource, day));
            }
        }
    }

    private void advise(Resource.Key key, Resource resource, long day) {
        if (resource.lastDay < day) {
            return; // the day told nothing of it
        }
        Advice advice = Advice.of(resource, day);
        if (advice == null) {
            return;
        }
        int before = resource.given;
        advice.apply(resource);
        store.put(storeKey(key, WHOLE), resource.written(packer));
        if (resource.given != before) {
            tell(key, resource, before, advice, day);
        }
    }

    private void tell(Resource.Key key, Resource resource, int before, Advice advice, long day) {
        long end = (day + 1) * Resource.HOURS * HOUR_MS;
        String at = Times.write(end + OPEN_HOURS * HOUR_MS);
        String identity = String.join("|", key.unit(), String.valueOf(key.id()), key.currency(), at);
        BigDecimal saving = advice.monthlySaving(resource.given, resource.price);
        Json.Line line = new Json.Line()
                .text("recommendation_id", UUID.nameUUIDFromBytes(identity.getBytes(StandardCharsets.UTF_8)).toString())
                .text("recommended_at", at).text("business_unit", key.unit()).text("service", resource.service)
                .text("resource_id", key.id()).text("resource_type", resource.type).text("currency", key.currency())
                .text("action", Advice.NAMES[resource.given]).text("previous_action", Advice.NAMES[before])
                .text("target_type", null).number("utilization_quantile", advice.quantile())
                .number("utilization_mean", advice.mean()).number("coverage", advice.coverage())
                .number("off_hours_per_week", (long) advice.offHours()).money("hourly_price", resource.price)
                .money("monthly_saving", saving).number("confidence", advice.confidence(resource.given))
                .time("window_start", end - Resource.WINDOW * Resource.HOURS * HOUR_MS).time("window_end", end);
        teller.tell(SINK, key.unit(), line, end);
    }

    private void restore() {
        resources.clear();
        changed.clear();
        seen = 0;
        looked = 0;
        try (KeyValueIterator<Bytes, byte[]> all = store.all()) {
            while (all.hasNext()) {
                KeyValue<Bytes, byte[]> entry = all.next();
                Packer from = new Packer(entry.key.get());
                Resource.Key key = new Resource.Key(from.getText(), from.getText(), from.getText());
                long hour = from.getLong();
                Packer value = new Packer(entry.value);
                if (key.equals(NOBODY)) {
                    seen = value.getLong();
                    looked = value.getLong();
                } else if (hour == WHOLE) {
                    resources.computeIfAbsent(key, of -> new Resource()).read(value);
                } else {
                    reopen(resources.computeIfAbsent(key, of -> new Resource()), hour, value);
                    changed.add(key);
                }
            }
        }
    }

    private static void reopen(Resource resource, long hour, Packer value) {
        resource.open.put(hour, value.getByte() & 0xff);
        resource.service = value.getText();
        resource.type = value.getText();
        resource.price = value.getMoney();
    }

    private Bytes storeKey(Resource.Key key, long hour) {
        return packer.putText(key.unit()).putText(key.id()).putText(key.currency()).putLong(hour).key();
    }
}
