# frozen_string_literal: true

# Each path of a list is that item: `ruby job.rb URL TOKEN FOLDER LIST`, lines `key<tab>path`.
require "plexindex"

url, token, folder, list = ARGV
rows = File.readlines(list, chomp: true, encoding: "UTF-8").map { |line| line.split("\t") }
Plexindex.open(server_url: url, token: token, cache_dir: folder) do |index|
  movies = index.library("Movies")
  rows.each do |key, path|
    match = movies.match(path)
    raise "#{path}: #{match.item&.key}, not #{key}" unless match.item&.key == key
  end
end
puts "#{rows.length} paths right"
