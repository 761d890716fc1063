package plexindex;

import com.sun.jna.Pointer;
import com.sun.jna.ptr.PointerByReference;
import java.lang.ref.Cleaner;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Supplier;

/** An open index. Any number of threads may use it. */
public final class Plexindex implements AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();

    private final State state;
    private final Supplier<String> renewal;
    private final Cleaner.Cleanable cleanable;

    private Plexindex(State state, Supplier<String> renewal) {
        this.state = state;
        this.renewal = renewal;
        cleanable = CLEANER.register(this, state);
    }

    /** Opens an index. Reads the disk only: the first question fetches. */
    public static Plexindex open(Options options) {
        Objects.requireNonNull(options, "options");
        Abi abi = Natives.abi();
        PointerByReference index = new PointerByReference();
        synchronized (options) {
            check(abi, error -> abi.plexindex_open(options.ready(), index, error));
            return new Plexindex(new State(abi, index.getValue()), options.renewal);
        }
    }

    /** The version of the native library. */
    public static String version() { return Natives.abi().plexindex_get_version(); }

    /** The log lines that wait, oldest first: 256 at most for the whole process. */
    public static List<LogLine> drainLog() {
        Abi abi = Natives.abi();
        List<LogLine> lines = new ArrayList<>();
        Abi.LogFn receive = (user, level, message, length) -> lines.add(new LogLine(LogLevel.of(level), message.getString(0, "UTF-8")));
        check(abi, error -> abi.plexindex_drain_log(receive, null, error));
        return lines;
    }

    /** All libraries. */
    public Library library() { return library(Abi.SELECT_ALL, null); }

    /** A library by its uuid, title or section id. Sends no request: the first question to none fails. */
    public Library library(String name) { return library(Abi.SELECT_ANY, Objects.requireNonNull(name, "name")); }

    private Library library(int kind, String name) {
        byte[] selector = Texts.bytes(name == null ? "" : name);
        PointerByReference library = new PointerByReference();
        run((abi, index, error) -> abi.plexindex_get_library(index, kind, selector, selector.length, library, error));
        return new Library(this, library.getValue(), name);
    }

    /** As call(method, request, new Query()). */
    public Reply call(String method, String request) { return call(method, request, Query.DEFAULT); }

    /**
     * Calls a method by its name: docs/methods.md describes each. Request and answer are JSON. Of the query the deadline
     * and the progress function count; {@code offline} and the like are fields of the request.
     */
    public Reply call(String method, String request, Query query) {
        byte[] name = Texts.bytes(Objects.requireNonNull(method, "method") + "\0");
        byte[] asked = Texts.bytes(request, "request");
        if (Objects.requireNonNull(query, "query").flags != 0)
            throw Texts.invalid("offline(), check() and full() are no limits of a method: see its request");
        Abi.CallOptions limits = new Abi.CallOptions();
        limits.setAutoRead(false); // the library changes nothing in it
        limits.deadline_ms = query.deadlineMs;
        PointerByReference answer = new PointerByReference();
        try {
            int status = run(query, (abi, index, error) ->
                abi.plexindex_call(index, name, asked, asked.length, limits, answer, error));
            return new Reply(Status.of(status), Texts.of(answer.getValue()));
        } catch (PlexindexException error) {
            error.answer = Texts.of(answer.getValue());
            throw error;
        } finally {
            state.abi.plexindex_free(answer.getValue());
        }
    }

    /** Replaces the token; null: none. */
    public void setToken(String token) {
        byte[] bytes = Texts.bytes(token == null ? "" : token);
        run((abi, index, error) -> abi.plexindex_set_token(index, bytes, bytes.length, error));
    }

    /** Waits for the calls in flight, and cuts fetches and waits short: they and later calls fail with CLOSED. */
    @Override
    public void close() {
        if (CurrentCall.isIn(this)) throw Texts.invalid("a call of this index cannot close it: end the call first");
        cleanable.clean();
    }

    /** A call of a function of {@link Abi}. */
    public interface Call {
        int make(Abi abi, Pointer index, Abi.Buffer error);
    }

    /** One that fills a buffer, such as plexindex_table_get(). */
    public interface Filling {
        int make(Abi abi, Pointer index, Abi.Buffer filled, Abi.Buffer error);
    }

    /** Makes a call that fills a buffer, and makes it again with a larger one where it must. Texts in it end with a NUL. */
    public Abi.Buffer fill(Filling call) {
        Objects.requireNonNull(call, "call");
        for (long capacity = 16384;;) {
            Abi.Buffer filled = Texts.buffer(capacity);
            if (run((abi, index, error) -> call.make(abi, index, filled, error)) != Abi.BUFFER_TOO_SMALL) return filled;
            capacity = Buffers.more(filled);
        }
    }

    /** The same, with what is read of the buffer and the status. */
    <T> T fill(Query query, Filling call, long capacity, BiFunction<Abi.Buffer, Integer, T> read) {
        for (;;) {
            Abi.Buffer filled = Buffers.take(capacity);
            try {
                int status = run(query, (abi, index, error) -> call.make(abi, index, filled, error));
                if (status != Abi.BUFFER_TOO_SMALL) return read.apply(filled, status);
                capacity = Buffers.more(filled);
            } finally {
                Buffers.giveBack(filled);
            }
        }
    }

    /**
     * Makes a call, which close() waits for. Returns the status; an error is an exception. A call with a new Abi.Query or
     * Abi.CallOptions ends when the index is closed or the thread is interrupted, unless its {@code progress} is replaced.
     */
    public int run(Call call) { return run(Query.DEFAULT, Objects.requireNonNull(call, "call")); }

    int run(Query query, Call call) {
        return during(index -> {
            CurrentCall current = new CurrentCall(this, query);
            try {
                return check(state.abi, error -> call.make(state.abi, index, error));
            } catch (PlexindexException error) {
                throw current.failure(error);
            } finally {
                current.end();
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

    Supplier<String> renewal() { return renewal; }

    boolean isClosing() { return state.closing; }

    private static int check(Abi abi, Function<Abi.Buffer, Integer> call) {
        Abi.Buffer error = Buffers.take(Buffers.SIZE);
        try {
            int status = call.apply(error);
            if (status < 100 || status == Abi.BUFFER_TOO_SMALL) return status;
            throw new PlexindexException(Status.of(status), error.data.getString(0, "UTF-8"));
        } finally {
            Buffers.giveBack(error);
        }
    }

    /** What is left to close when the index was collected. It must not know the index. */
    private static final class State implements Runnable {
        final Abi abi;
        final Pointer index;
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
                if (calls > 0) check(abi, error -> abi.plexindex_wake_waiting(index, error));
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
