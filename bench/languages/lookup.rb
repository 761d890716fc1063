# frozen_string_literal: true

# bench/languages/README.md
require "plexindex"

store, host, server, file, rounds = ARGV
index = Plexindex.open(cache_dir: store, server_url: ENV.fetch("PLEX_URL"), token: ENV.fetch("PLEX_TOKEN"),
                       library_ttl_ms: -2, mappings: [{ from: host, to: server }])
movies = index.library("Movies")
pairs = File.readlines(file, chomp: true, encoding: "UTF-8").map { |line| line.split("\t").map(&:b) }
times = (0..rounds.to_i).map do |round|
  pairs.shuffle!(random: Random.new(round))
  wrong = 0
  begun = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
  pairs.each { |path, key| wrong += 1 if movies.lookup_key(path) != key }
  took = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond) - begun
  abort "#{wrong} answers are wrong" if wrong.positive?
  took.fdiv(pairs.size)
end
puts JSON.generate(times.drop(1))
index.close
