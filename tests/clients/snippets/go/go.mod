module snippets

go 1.18
