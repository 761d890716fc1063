// Finds and loads the library: in `runtimes` for this platform, beside the program, else the system's runtime library,
// else the development link.
using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.InteropServices;

namespace Plexindex
{
/// <summary>The native library.</summary>
public static class Native
{
    private static readonly object Once = new object();
    private static bool loaded;

    private static bool IsMac => RuntimeInformation.IsOSPlatform(OSPlatform.OSX);
    private static bool IsWindows => RuntimeInformation.IsOSPlatform(OSPlatform.Windows);
    private static string FileName => IsWindows ? "plexindex.dll" : IsMac ? "libplexindex.dylib" : "libplexindex.so";

    /// <summary>This platform, as .NET calls it: linux-x64, linux-musl-arm64.</summary>
    public static string Rid
    {
        get
        {
            string system = IsWindows ? "win" : IsMac ? "osx" : HasMusl() ? "linux-musl" : "linux";
            return system + "-" + RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();
        }
    }

    // The C library's loader is mapped into each process.
    private static bool HasMusl()
    {
        try { return File.ReadAllText("/proc/self/maps").Contains("/ld-musl-"); }
        catch (IOException) { return false; }
    }

    // A file that is named or lies with the program is used, or its failure is shown.
    private static IEnumerable<string> Files(string named)
    {
        if (!string.IsNullOrEmpty(named)) return new[] { named };
        string program = AppDomain.CurrentDomain.BaseDirectory;
        foreach (string file in new[] { Path.Combine(program, "runtimes", Rid, "native", FileName), Path.Combine(program, FileName) })
            if (File.Exists(file)) return new[] { file };
        if (IsWindows) return new[] { FileName };
        return new[] { IsMac ? "libplexindex.0.dylib" : "libplexindex.so.0", FileName };
    }

    /// <summary>Loads the library, once. PlexIndex does it; callers of Abi do it first.</summary>
    /// <exception cref="DllNotFoundException">It is not there, or is another. The message says what to install.</exception>
    public static void Load()
    {
        lock (Once)
        {
            if (loaded) return;
            string named = Environment.GetEnvironmentVariable("PLEXINDEX_LIBRARY");
            var failures = new List<string>();
            foreach (string file in Files(named))
            {
                string failure = Open(file);
                if (failure == null)
                {
                    loaded = true;
                    return;
                }
                failures.Add(failure.Contains(file) ? failure : file + ": " + failure);
            }
            string remedy = string.IsNullOrEmpty(named)
                ? $"put runtimes/{Rid}/native/{FileName} beside the program, or install the C library (libplexindex.so.0), or name the library's file in PLEXINDEX_LIBRARY"
                : "PLEXINDEX_LIBRARY names no library for " + Rid;
            throw new DllNotFoundException($"the plexindex library cannot be loaded: {remedy} ({string.Join("; ", failures)})");
        }
    }

    // Why this file is not the library; null if it is. From then on it is what "plexindex" means in Abi.
    private static string Open(string file)
    {
        if (IntPtr.Size != 8) return "plexindex needs a process of 64 bits";
#if NETCOREAPP
        IntPtr handle;
        try { handle = NativeLibrary.Load(file); }
        catch (Exception error) when (error is DllNotFoundException || error is BadImageFormatException) { return error.Message; }
        if (!NativeLibrary.TryGetExport(handle, "plexindex_get_abi_version", out IntPtr version)) return "it is not plexindex";
        string wrong = Compare(version);
        if (wrong == null)
            NativeLibrary.SetDllImportResolver(typeof(Abi).Assembly, (name, assembly, path) => name == "plexindex" ? handle : IntPtr.Zero);
        return wrong;
#else
        IntPtr handle = dlopen(file, 2);
        if (handle == IntPtr.Zero) return Marshal.PtrToStringAnsi(dlerror());
        IntPtr version = dlsym(handle, "plexindex_get_abi_version");
        if (version == IntPtr.Zero) return "it is not plexindex";
        string wrong = Compare(version);
        if (wrong == null) mono_dllmap_insert(IntPtr.Zero, "plexindex", null, file, null);
        return wrong;
#endif
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate uint GetVersion();

    private static string Compare(IntPtr function)
    {
        uint found = Marshal.GetDelegateForFunctionPointer<GetVersion>(function)();
        return found == Abi.ABI_VERSION ? null : $"it has ABI version {found}, not {Abi.ABI_VERSION}";
    }

#if !NETCOREAPP
    [DllImport("__Internal")] private static extern IntPtr dlopen(string file, int flags);
    [DllImport("__Internal")] private static extern IntPtr dlsym(IntPtr handle, string name);
    [DllImport("__Internal")] private static extern IntPtr dlerror();
    // The last is Mono's own: what a name in DllImport means.
    [DllImport("__Internal")] private static extern void mono_dllmap_insert(IntPtr assembly, string name, string function, string file, string target);
#endif
}
}
