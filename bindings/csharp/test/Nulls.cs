// Compiled, not run: what may be null, as callers with nullable types see it. Mono's compiler knows no such types.
#nullable enable
using Plexindex;

public static class Nulls
{
    public static string Allowed(PlexIndex index)
    {
        index.SetToken(null);
        var options = new Options { CacheDir = "x", RenewToken = () => null };
        options.Token = null; // the compiler of 3.1.102 refuses it in the initializer, later ones do not
        Library all = index.Library(null);
        Answer match = all.Match("/x", null);
        string? key = all.LookupKey("/x"), json = all.ItemJson("1") ?? all.Changes(null).Changes[0].Path;
        return (match.Item?.Title ?? match.Message ?? "") + match.Candidates.Count + key + json + options.CacheDir.Length;
    }

#if NULLS
    public static int Refused(PlexIndex index)
    {
        Library all = index.Library("Movies");
        Answer match = all.MatchGuid(null);
        Item item = match.Item;
        string message = match.Message;
        return item.Key.Length + message.Length + match.Item.Key.Length + all.LookupKey("/x").Length + all.ItemJson("1").Length;
    }
#endif
}
