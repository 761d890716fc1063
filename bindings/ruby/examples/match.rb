# frozen_string_literal: true

# Which item is this file? `ruby match.rb URL TOKEN CACHE LIBRARY FILE`
require "plexindex"

url, token, folder, library, file = ARGV
Plexindex.open(server_url: url, token: token, cache_dir: folder) do |index| # the folder is made, nothing is fetched
  match = index.library(library).match(file) # fetches the library where it must
  if match.item
    puts "#{match.item.key}: #{match.item.title}"
  else
    puts "#{match.status}: #{match.message}"
    match.candidates.each { |item| puts "  #{item.path}" }
  end
end
