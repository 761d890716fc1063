// What the library calls back.
using System;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace Plexindex
{
/// <summary>
/// A call that its thread makes now. The library calls back on that thread, so two functions serve all calls, and none is
/// collected while the library may call it. No exception may pass through the library.
/// </summary>
internal sealed class CurrentCall
{
    [ThreadStatic] private static CurrentCall now;
    private static readonly Abi.ProgressFn ReportOfNow = (user, at) => now == null || now.Report(at) ? 0 : 1;
    private static readonly Abi.RenewTokenFn RenewOfNow = (user, at) => now != null && now.Renew(at) ? 0 : 1;
    /// <summary>Each Abi.Query.Create() has it.</summary>
    internal static readonly IntPtr Progress = Marshal.GetFunctionPointerForDelegate(ReportOfNow);
    internal static readonly IntPtr RenewToken = Marshal.GetFunctionPointerForDelegate(RenewOfNow);

    private readonly CurrentCall outer = now;
    private readonly PlexIndex index;
    private readonly IProgress<FetchProgress> progress;
    private readonly CancellationToken cancel;
    private Exception raised, renewalRaised;

    internal CurrentCall(PlexIndex index, IProgress<FetchProgress> progress, CancellationToken cancel)
    {
        this.index = index;
        this.progress = progress;
        this.cancel = cancel;
        now = this;
    }

    internal void End() => now = outer;

    /// <summary>Whether this thread is in a call of the index, such as one whose progress is reported.</summary>
    internal static bool IsIn(PlexIndex index)
    {
        for (CurrentCall one = now; one != null; one = one.outer)
            if (one.index == index) return true;
        return false;
    }

    /// <summary>Whether the call that this thread makes now, the innermost, is one of the index: Dispose() waits for it.</summary>
    internal static bool IsOf(PlexIndex index) => now != null && now.index == index;

    /// <summary>What the caller gets for this failure: what its own functions threw comes first.</summary>
    internal Exception Failure(PlexindexException error)
    {
        Throw(raised);
        if (error.Status == Status.Aborted && index.IsClosing) return new ObjectDisposedException(nameof(PlexIndex));
        if (error.Status == Status.Aborted && cancel.IsCancellationRequested) return new OperationCanceledException(cancel);
        if (error.Status == Status.Unauthorized && renewalRaised != null) return new PlexindexException(error.Status, error.Message, renewalRaised);
        return error;
    }

    /// <summary>What is an exception also where the call itself went well: the end of the thread.</summary>
    internal void EndThread()
    {
        if (raised is ThreadAbortException) Throw(raised);
        if (renewalRaised is ThreadAbortException) Throw(renewalRaised);
    }

    /// <summary>
    /// Keeps an exception of a callback until the call has returned. Mono raises a ThreadAbortException again where it was
    /// caught, and it would pass through the library: it is taken back, and Throw() raises it anew.
    /// </summary>
    internal static Exception Keep(Exception error)
    {
#if !NETCOREAPP
        if (error is ThreadAbortException) Thread.ResetAbort();
#endif
        return error;
    }

    /// <summary>Throws what Keep() kept, if there is something.</summary>
    internal static void Throw(Exception kept)
    {
        if (kept == null) return;
#if !NETCOREAPP
        var abort = kept as ThreadAbortException;
        if (abort != null) Thread.CurrentThread.Abort(abort.ExceptionState);
#endif
        ExceptionDispatchInfo.Capture(kept).Throw();
    }

    // Mono aborts threads: Thread.Abort() does, and the end of the program those in the background.
    private static bool IsAborted =>
#if NETCOREAPP
        false;
#else
        (Thread.CurrentThread.ThreadState & ThreadState.AbortRequested) != 0;
#endif

    private bool Report(IntPtr at)
    {
        try
        {
            if (index.IsClosing || cancel.IsCancellationRequested || IsAborted) return false;
            if (progress == null) return true;
            var read = Marshal.PtrToStructure<Abi.Progress>(at);
            progress.Report(new FetchProgress
            {
                Library = Memory.String(read.library.data, (int)read.library.length), Items = (long)read.items, Total = (long)read.total,
                Elapsed = TimeSpan.FromMilliseconds(read.elapsed_ms),
            });
            return !index.IsClosing && !cancel.IsCancellationRequested && !IsAborted;
        }
        catch (Exception error)
        {
            raised = Keep(error);
            return false;
        }
    }

    private bool Renew(IntPtr at)
    {
        renewalRaised = null;
        try
        {
            byte[] token = Encoding.UTF8.GetBytes(index.RenewToken() ?? "");
            var buffer = Marshal.PtrToStructure<Abi.Buffer>(at);
            if (token.Length == 0) return false;
            if ((ulong)token.Length > (ulong)buffer.capacity || !Array.TrueForAll(token, one => one > ' ' && one <= '~'))
                throw PlexIndex.Invalid($"RenewToken returned what is no token: give ASCII without spaces and ends of lines, {buffer.capacity} bytes at most");
            Marshal.Copy(token, 0, buffer.data, token.Length);
            buffer.length = (UIntPtr)token.Length;
            Marshal.StructureToPtr(buffer, at, false);
            return true;
        }
        catch (Exception error)
        {
            renewalRaised = Keep(error);
            return false;
        }
    }
}
}
