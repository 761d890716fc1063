module plexindex

go 1.19
