package imports

import (
	"regexp"
	"sync"
)

// pattern is a regular expression that is compiled when it is first used: all commands of
// the program start with this package, and one of them reads other formats.
func pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
