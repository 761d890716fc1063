package plexindex;

import com.sun.jna.Pointer;

/**
 * A call that its thread makes now. The library calls back on that thread, so two functions serve all calls, and none
 * is freed while the library may call it.
 */
final class CurrentCall {
    private static final ThreadLocal<CurrentCall> NOW = new ThreadLocal<>();
    /** Each new Abi.Query has it. */
    static final Abi.ProgressFn PROGRESS = (user, at) -> NOW.get() == null || NOW.get().report(at) ? 0 : 1;
    static final Abi.RenewTokenFn RENEW_TOKEN = (user, at) -> NOW.get() != null && NOW.get().renew(at) ? 0 : 1;

    private final CurrentCall outer = NOW.get();
    private final Plexindex index;
    private final Query query;
    private Throwable raised, renewalRaised;

    CurrentCall(Plexindex index, Query query) {
        this.index = index;
        this.query = query;
        NOW.set(this);
    }

    void end() {
        if (outer == null) NOW.remove();
        else NOW.set(outer);
    }

    /** Whether this thread is in a call of the index, such as one whose progress function runs. */
    static boolean isIn(Plexindex index) {
        for (CurrentCall one = NOW.get(); one != null; one = one.outer) if (one.index == index) return true;
        return false;
    }

    /** Whether the call that this thread makes now, the innermost, is one of the index: close() waits for it. */
    static boolean isOf(Plexindex index) { return NOW.get() != null && NOW.get().index == index; }

    /** What the caller gets for this failure: what its own functions threw comes first. */
    RuntimeException failure(PlexindexException error) {
        if (raised != null) return CurrentCall.<RuntimeException>rethrow(raised);
        if (error.status() == Status.ABORTED && index.isClosing()) return PlexindexException.closed();
        if (error.status() == Status.UNAUTHORIZED && renewalRaised != null) error.initCause(renewalRaised);
        return error;
    }

    @SuppressWarnings("unchecked")
    private static <T extends Throwable> RuntimeException rethrow(Throwable error) throws T { throw (T) error; }

    private boolean report(Pointer at) {
        if (index.isClosing() || Thread.currentThread().isInterrupted()) return false;
        try {
            return query.progress == null || query.progress.test(Progress.of(new Abi.Progress(at)));
        } catch (Throwable error) {
            raised = error;
            return false;
        }
    }

    private boolean renew(Pointer at) {
        renewalRaised = null;
        try {
            String token = index.renewal().get();
            byte[] bytes = Texts.bytes(token == null ? "" : token);
            Abi.Buffer buffer = new Abi.Buffer(at);
            if (bytes.length == 0) return false;
            boolean plain = token.chars().allMatch(one -> one > ' ' && one <= '~');
            if (!plain || bytes.length > buffer.capacity)
                throw Texts.invalid("renewToken returned what is no token: give ASCII without spaces and ends of lines, "
                    + buffer.capacity + " bytes at most");
            buffer.data.write(0, bytes, 0, bytes.length);
            buffer.length = bytes.length;
            buffer.write();
            return true;
        } catch (Throwable error) {
            renewalRaised = error;
            return false;
        }
    }
}
