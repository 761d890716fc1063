package plexindex;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Cleaner;
import java.util.Objects;
import java.util.function.Function;

/** An open index. Any number of threads may use it. */
public final class Plexindex implements AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();
    private static final long ERROR_TEXT = 2048;

    private final State state;
    private final Cleaner.Cleanable cleanable;

    private Plexindex(State state) {
        this.state = state;
        cleanable = CLEANER.register(this, state);
    }

    /** Opens an index. Reads the disk only: the first question fetches. */
    public static Plexindex open(Options options) {
        Objects.requireNonNull(options, "options");
        Abi abi = Natives.abi();
        PointerByReference index = new PointerByReference();
        check(abi, error -> abi.plexindex_open(options.ready(), index, error));
        return new Plexindex(new State(abi, index.getValue()));
    }

    /** The version of the native library. */
    public static String version() { return Natives.abi().plexindex_get_version(); }

    /** All libraries. */
    public Library library() { return library(Abi.SELECT_ALL, ""); }

    /** A library by its uuid, title or section id. Sends no request: the first question to none fails. */
    public Library library(String name) { return library(Abi.SELECT_ANY, name); }

    private Library library(int kind, String name) {
        byte[] selector = Texts.bytes(name, "name");
        PointerByReference library = new PointerByReference();
        run((abi, index, error) -> abi.plexindex_get_library(index, kind, selector, selector.length, library, error));
        return new Library(this, library.getValue());
    }

    /** Replaces the token; null: none. */
    public void setToken(String token) {
        byte[] bytes = Texts.bytes(token == null ? "" : token);
        run((abi, index, error) -> abi.plexindex_set_token(index, bytes, bytes.length, error));
    }

    /** Waits for the calls in flight, and cuts fetches short: they and later calls fail with the code CLOSED. */
    @Override
    public void close() { cleanable.clean(); }

    /** A call of a function of {@link Abi}. */
    public interface Call {
        int make(Abi abi, Pointer index, Abi.Buffer error);
    }

    /** One that fills a buffer: {@code Abi::plexindex_get_store_json}. */
    public interface Filling {
        int make(Abi abi, Pointer index, Abi.Buffer filled, Abi.Buffer error);
    }

    /** Makes a call that fills a buffer, and makes it again with a larger one where it must. Texts in it end with a NUL. */
    public Abi.Buffer fill(Filling call) { return fill(call, 16384); }

    Abi.Buffer fill(Filling call, long capacity) {
        for (;;) {
            Abi.Buffer filled = Texts.buffer(capacity);
            if (run((abi, index, error) -> call.make(abi, index, filled, error)) != Abi.BUFFER_TOO_SMALL) return filled;
            capacity = filled.length + filled.length / 4;
        }
    }

    /** Makes a call, which close() waits for. Returns the status; an error is an exception. */
    public int run(Call call) {
        return during(index -> {
            try {
                return check(state.abi, error -> call.make(state.abi, index, error));
            } catch (PlexindexException error) {
                if (error.code().equals("ABORTED") && state.closing) throw PlexindexException.closed();
                throw error;
            }
        });
    }

    <T> T during(Function<Pointer, T> work) {
        state.enter();
        try {
            return work.apply(state.index);
        } finally {
            state.leave();
            java.lang.ref.Reference.reachabilityFence(this);
        }
    }

    Abi abi() { return state.abi; }

    Abi.ProgressFn progress() { return state.progress; }

    private static int check(Abi abi, Function<Abi.Buffer, Integer> call) {
        Abi.Buffer error = Texts.buffer(ERROR_TEXT);
        int status = call.apply(error);
        if (status < 100 || status == Abi.BUFFER_TOO_SMALL) return status;
        throw new PlexindexException(abi.plexindex_get_status_name(status), error.data.getString(0, "UTF-8"));
    }

    /** What is left to close when the index was collected. It must not know the index. */
    private static final class State implements Runnable {
        final Abi abi;
        final Pointer index;
        // On the thread of the call: an interrupt ends it, and so does a close.
        final Abi.ProgressFn progress = (user, at) -> this.closing || Thread.currentThread().isInterrupted() ? 1 : 0;
        volatile boolean closing;
        private int calls;

        State(Abi abi, Pointer index) {
            this.abi = abi;
            this.index = index;
        }

        synchronized void enter() {
            if (closing) throw PlexindexException.closed();
            calls++;
        }

        synchronized void leave() {
            calls--;
            notifyAll();
        }

        @Override
        public void run() {
            boolean interrupted = false;
            synchronized (this) {
                closing = true;
                while (calls > 0) {
                    try {
                        wait();
                    } catch (InterruptedException error) {
                        interrupted = true;
                    }
                }
            }
            if (interrupted) Thread.currentThread().interrupt();
            check(abi, error -> abi.plexindex_close(index, error));
        }
    }
}
