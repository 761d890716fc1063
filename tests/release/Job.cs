using System;
using System.IO;
using Plexindex;

/// Each path of a list is that item: `Job URL TOKEN FOLDER LIST`, lines `key<tab>path`.
public static class Job
{
    public static void Main(string[] given)
    {
        var options = new Options { ServerUrl = given[0], Token = given[1], CacheDir = given[2] };
        string[] rows = File.ReadAllLines(given[3]);
        using (PlexIndex index = PlexIndex.Open(options))
        {
            Library movies = index.Library("Movies");
            foreach (string line in rows)
            {
                string[] row = line.Split('\t');
                if (movies.Match(row[1]).Item?.Key != row[0]) throw new Exception(line);
            }
        }
        Console.WriteLine($"{rows.Length} paths right");
    }
}
