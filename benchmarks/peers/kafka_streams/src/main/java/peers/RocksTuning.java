package peers;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.CompressionType;
import org.rocksdb.Options;

/** The states are small and written at each commit: no compression, and one file is merged away less often. */
public final class RocksTuning implements RocksDBConfigSetter {
    @Override
    public void setConfig(String store, Options options, Map<String, Object> settings) {
        options.setCompressionType(CompressionType.NO_COMPRESSION);
        options.setWriteBufferSize(16L << 20);
    }

    @Override
    public void close(String store, Options options) {}
}
