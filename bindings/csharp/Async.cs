// A library's questions for `await`.
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Threading;
using System.Threading.Tasks;

namespace Plexindex
{
// Each call waits on a thread of its own, which begins and ends with it: a call that is answered at once is cheaper without.
public sealed partial class Library
{
    /// <summary>Match() on a thread of its own.</summary>
    public Task<Answer> MatchAsync(string path, [AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken)) =>
        index.Async(query, cancel, own => Match(path, own, cancel));

    public Task<Answer> MatchAsync(byte[] path, [AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken)) =>
        index.Async(query, cancel, own => Match(path, own, cancel));

    /// <summary>MatchAll() on a thread of its own.</summary>
    public Task<IReadOnlyList<Answer>> MatchAllAsync(
        IReadOnlyCollection<string> paths, [AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken)) =>
        index.Async(query, cancel, own => MatchAll(paths, own, cancel));

    /// <summary>Refresh() on a thread of its own.</summary>
    public Task<bool> RefreshAsync([AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken)) =>
        index.Async(query, cancel, own => Refresh(own, cancel));

    /// <summary>WaitForChanges() on a thread of its own.</summary>
    public Task<bool> WaitForChangesAsync(string cursor, [AllowNull] Query query = null, CancellationToken cancel = default(CancellationToken)) =>
        index.Async(query, cancel, own => WaitForChanges(cursor, own, cancel));
}
}
