package probes

import (
	"fmt"
	"strconv"
	"strings"
)

// set is a list of codes: single ones, ranges with both ends, and, for HTTP, classes.
type set [][2]int

// parseSet reads texts such as "200", "200-299" and "2xx".
func parseSet(texts []string) (set, error) {
	list := make(set, 0, len(texts))
	for _, text := range texts {
		low, high, isRange := strings.Cut(strings.TrimSpace(text), "-")
		if class, found := strings.CutSuffix(strings.ToLower(low), "xx"); found && !isRange && len(class) == 1 && class[0] >= '1' && class[0] <= '5' {
			first := int(class[0]-'0') * 100
			list = append(list, [2]int{first, first + 99})
			continue
		}
		if !isRange {
			high = low
		}
		first, err := parseCode(low)
		if err != nil {
			return nil, fmt.Errorf("%q is not a code; write \"200\", \"200-299\" or \"2xx\"", text)
		}
		last, err := parseCode(high)
		if err != nil {
			return nil, fmt.Errorf("%q is not a range of codes; write \"200-299\"", text)
		}
		if last < first {
			return nil, fmt.Errorf("%q runs backwards; write \"%d-%d\"", text, last, first)
		}
		list = append(list, [2]int{first, last})
	}
	return list, nil
}

// parseCode reads digits only: strconv.Atoi would take a sign.
func parseCode(text string) (int, error) {
	text = strings.TrimSpace(text)
	code, err := strconv.ParseUint(text, 10, 16)
	return int(code), err
}

func (s set) has(code int) bool {
	for _, span := range s {
		if code >= span[0] && code <= span[1] {
			return true
		}
	}
	return false
}

// overlaps tells whether some code of the set lies between first and last.
func (s set) overlaps(first, last int) bool {
	for _, span := range s {
		if span[0] <= last && span[1] >= first {
			return true
		}
	}
	return false
}
