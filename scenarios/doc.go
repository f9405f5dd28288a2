// Package scenarios is the language: it turns HCL files into experiments.
//
// [Language.Load] reads a file or a directory and checks all of it without any
// network: it parses, gives variables their values, checks every reference,
// orders locals and connections, and decodes each block into the struct of its
// kind. What is known only later, such as the URL of a sandbox that is not yet
// running, is an unknown value meanwhile and left zero. All problems come back
// at once as [Diagnostics].
//
// [Configuration.Open] then opens the connections in the order of their
// references, and [Configuration.Experiments] decodes again with every value
// known.
//
// The package knows no fault, guard, probe or connection: their tables are handed
// in as a [Language], and the attributes of a kind are the tagged fields of its
// struct (see [experiments.Kind]). The blocks of the language itself are such
// structs too, so that `gameday explain` and the decoder read the same tags.
package scenarios
