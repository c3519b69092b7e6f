package peers;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.utils.Bytes;

/** Writes and reads the keys and values of the stores. Big-endian; texts and numbers of any length behind theirs. */
final class Packer {
    private ByteBuffer bytes;

    Packer() {
        bytes = ByteBuffer.allocate(256);
    }

    Packer(byte[] written) {
        bytes = ByteBuffer.wrap(written);
    }

    Packer putByte(int value) {
        room(1).put((byte) value);
        return this;
    }

    Packer putLong(long value) {
        room(8).putLong(value);
        return this;
    }

    Packer putDouble(double value) {
        room(8).putDouble(value);
        return this;
    }

    Packer putRaw(byte[] value) {
        room(2 + value.length).putShort((short) value.length).put(value);
        return this;
    }

    Packer putText(String value) {
        return value == null ? putByte(0) : putByte(1).putRaw(value.getBytes(StandardCharsets.UTF_8));
    }

    /** Nearly all amounts fit into a long. */
    Packer putMoney(BigDecimal value) {
        if (value == null) {
            return putByte(0);
        }
        if (value.precision() < 19) {
            long unscaled = value.scaleByPowerOfTen(value.scale()).longValue();
            return putByte(1).putByte(value.scale()).putLong(unscaled);
        }
        return putByte(2).putByte(value.scale()).putRaw(value.unscaledValue().toByteArray());
    }

    int getByte() {
        return bytes.get();
    }

    long getLong() {
        return bytes.getLong();
    }

    double getDouble() {
        return bytes.getDouble();
    }

    byte[] getRaw() {
        byte[] value = new byte[bytes.getShort()];
        bytes.get(value);
        return value;
    }

    String getText() {
        return getByte() == 0 ? null : new String(getRaw(), StandardCharsets.UTF_8);
    }

    BigDecimal getMoney() {
        int form = getByte();
        if (form == 0) {
            return null;
        }
        int scale = getByte();
        return form == 1 ? BigDecimal.valueOf(getLong(), scale) : new BigDecimal(new BigInteger(getRaw()), scale);
    }

    /** What was put since the last time. */
    byte[] taken() {
        byte[] written = Arrays.copyOf(bytes.array(), bytes.position());
        bytes.clear();
        return written;
    }

    Bytes key() {
        return Bytes.wrap(taken());
    }

    private ByteBuffer room(int size) {
        if (bytes.remaining() < size) {
            bytes = ByteBuffer.allocate(2 * (bytes.capacity() + size)).put(bytes.flip());
        }
        return bytes;
    }
}
