package plexindex;

import java.util.ArrayDeque;

/** The buffers of a thread's calls, which later calls use again: JNA takes longer to make one than a match takes. */
final class Buffers {
    /** As long as an answer to most questions is. */
    static final long SIZE = 32768;
    private static final int MOST = 4;
    private static final ThreadLocal<ArrayDeque<Abi.Buffer>> FREE = ThreadLocal.withInitial(ArrayDeque::new);

    private Buffers() { }

    /** One that nothing else uses until it is given back. */
    static Abi.Buffer take(long capacity) {
        Abi.Buffer free = capacity <= SIZE ? FREE.get().poll() : null;
        return free != null ? free : Texts.buffer(Math.max(capacity, SIZE));
    }

    /** The capacity for the next try after one that was too small: more than the answer had, since it may grow meanwhile. */
    static long more(Abi.Buffer buffer) { return buffer.length + buffer.length / 4; }

    static void giveBack(Abi.Buffer buffer) {
        if (buffer.capacity == SIZE && FREE.get().size() < MOST) FREE.get().push(buffer);
    }
}
