package reports

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// A Wording is a place in what people wrote that a blameless postmortem words otherwise:
// it looks for what made an action seem right at the time, not for who took it. The lint
// knows English only, and it is a lint: it may be wrong, and warns.
type Wording struct {
	Line   int
	Found  string // as it was written
	Why    string // what is wrong with it
	Better string // what to write instead
}

type wordingRule struct {
	pattern     *regexp.Regexp
	why, better string
}

const (
	subject = `(?:he|she|they|we|you|somebody|someone|nobody|everybody|everyone|(?:the |an |our )?(?:on-?call|operator|engineer|developer|admin(?:istrator)?|sre|dev|ops|team|intern|person|reviewer)s?)`
	hasNot  = `(?:n't|n’t| not)`
)

func rule(pattern, why, better string) wordingRule {
	return wordingRule{regexp.MustCompile(`(?i)\b` + pattern), why, better}
}

// wordingRules are made when a text is looked at first: few commands do.
var wordingRules = sync.OnceValue(func() []wordingRule {
	return []wordingRule{
		rule(`(?:human|operator|user|pilot|people|manual) (?:error|mistake|failure)s?\b`, "a person's error is where a postmortem begins, not what it finds", "say what made the action look right, and what let it through: “the command takes production by default, and nothing asks”"),
		rule(`(?:finger trouble|fat[- ]finger(?:ed|ing)?|pebkac|butterfingers)\b`, "it makes fun of a person, and explains nothing", "say what the tool accepted, and what would have stopped it"),
		rule(`(?:should|shouldn|ought)(?:n't|n’t|(?: to)?(?: not)?) have (?:not |never |just |simply |also )?(?:been|\w+ed|known|seen|caught|done|read|told|thought|taken|gone|had|made|given|found|kept|written|run|paid|understood|got|come|set|put|left)\b`, "it judges by what is known only now", "say what was known and done at the time, and what was missing: “the dashboard did not show the pool, so …”"),
		rule(`(?:could|might|must)(?:n't|n’t| not)? have (?:easily |simply |just )?(?:been )?(?:prevented|avoided|known|seen|noticed|checked|tested|caught|realised|realized|asked|read|done)\b`, "it tells a story that did not happen", "say what did happen, and make what would help an action item"),
		rule(`if only\b`, "it tells a story that did not happen", "say what did happen, and make what would help an action item"),
		rule(`had (?:\w+ ){1,3}(?:only |just )?(?:checked|tested|read|followed|noticed|asked|known|looked|been more)\b`, "it tells a story that did not happen", "say what did happen, and make what would help an action item"),
		rule(`(?:careless|negligen|reckless|sloppy|sloppi|lazy|lazi|incompeten|stupid|idiot|clueless|unprofessional|irresponsib)\w*`, "it judges a person", "describe the conditions: the load, the time of the day, what the tools showed"),
		rule(`(?:to blame|at fault|culprits?|whose fault|(?:his|her|their|your) (?:fault|mistake|error)|blames? (?:him|her|them)|guilty)\b`, "it looks for who, and learning needs how", "say which conditions came together"),
		rule(subject+` (?:\w+ )?(?:forgot|forgets|neglected|overlooked|ignored|misjudged|missed|failed to|didn(?:'|’)t bother|screwed up|messed up|broke)\b`, "it makes a person's memory or attention the cause", "say what the system left to memory: “the step is in no checklist, and nothing warns without it”"),
		rule(`\w+ (?:forgot|forgets|has forgotten|had forgotten)\b`, "it makes a person's memory or attention the cause", "say what the system left to memory: “the step is in no checklist, and nothing warns without it”"),
		rule(subject+` (?:did`+hasNot+`|should`+hasNot+`?) (?:check|test|follow|read|notice|know|understand|think|care|ask|realise|realize)\b`, "it tells what somebody did not do, and not what they did and why", "say what was done instead, and why it made sense: what was shown, what was urgent"),
		rule(`(?:fail(?:ed|ure)s?|neglect(?:ed)?) to (?:follow|check|test|read|notice|verify|ask|think|communicate|realise|realize)\b`, "it measures people by a plan that they may not have had", "say what they followed instead, and what made it fit"),
		rule(`(?:lost|lack of|poor) (?:situational awareness|attention|discipline|judge?ment|common sense)\b`, "it names a person's state as the cause, and nothing can be built on it", "say which signal was missing, late or drowned in others"),
		rule(`(?:be|being|been) more (?:careful|attentive|diligent|vigilant|cautious)\b|(?:pay|paying|paid) more attention\b|try harder\b`, "attention is no safeguard: it is out when it is needed", "ask for something that works without attention: a check, a limit, a default"),
		rule(`(?:retrain|re-train|discipline|reprimand|warn|remind) (?:\w+ )?(?:engineers?|operators?|developers?|on-?call|team|everybody|everyone|staff|people)\b`, "it treats the person, and the next person meets the same conditions", "change what they meet: the tool, the default, the runbook, the alert"),
		rule(`(?:obvious(?:ly)?|of course|clearly|common sense|simply|just) (?:had to|needed to|have to|the wrong|should|a mistake|wrong)\b|obvious mistakes?\b`, "nothing is obvious before it is known how it ends", "say what it looked like at the time"),
	}
})

// Lint looks at a text that people wrote. Names are those of people that the report names,
// such as the owners of action items; a sentence with one as its culprit is found too.
// Code is left alone.
func Lint(text string, first int, names []string) []Wording {
	var list []Wording
	text = text[:min(len(text), mostLinted)]
	rules := slices.Concat(nameRules(names), wordingRules())
	fenced := false
	number := first - 1
	for line := range strings.Lines(text) {
		number++
		bare := strings.TrimSpace(line)
		if strings.HasPrefix(bare, "```") || strings.HasPrefix(bare, "~~~") {
			fenced = !fenced
			continue
		}
		if fenced || strings.HasPrefix(line, "    ") {
			continue
		}
		if len(line) > longestLinted {
			line = line[:longestLinted]
		}
		line = spans.ReplaceAllStringFunc(line, func(code string) string { return strings.Repeat("`", len(code)) })
		taken := make([]bool, len(line)+1)
		for _, r := range rules {
			for _, at := range r.pattern.FindAllStringIndex(line, -1) {
				if taken[at[0]] || taken[max(at[1]-1, 0)] {
					continue // another rule has said it
				}
				for i := at[0]; i < at[1]; i++ {
					taken[i] = true
				}
				list = append(list, Wording{number, clean(strings.Trim(line[at[0]:at[1]], " ,.;:!?()*_"), 80), r.why, r.better})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Wording) int { return a.Line - b.Line })
	return list
}

// How much is looked at: of a text, and of a line. Nobody words more by hand.
const (
	mostLinted    = 64 << 10
	longestLinted = 4 << 10
)

// spans is code within a line.
var spans = regexp.MustCompile("`[^`\n]*`")

// nameRules find a person as the culprit: a name before what went wrong, or after
// "because of".
func nameRules(names []string) []wordingRule {
	var list []wordingRule
	for _, name := range names {
		name = strings.TrimLeft(name, "@")
		if len([]rune(name)) < 2 || !strings.ContainsFunc(name, unicode.IsLetter) || len(name) > 100 {
			continue
		}
		quoted := `(?:^|[^\pL\pN_])` + regexp.QuoteMeta(name)
		why := fmt.Sprintf("it makes %s the cause", clean(name, 40))
		better := "say what the system let happen, and why the action made sense; a role is enough where somebody has to be named"
		for _, pattern := range []string{
			quoted + `(?:'s|’s)? (?:\w+ )?(?:forgot|failed|broke|caused|deleted|misconfigured|mistyped|overlooked|ignored|neglected|missed|crashed|fault|mistake|error|did(?:n't|n’t| not)|was (?:wrong|responsible|careless)|messed up|screwed up|took down|pushed (?:a |the )?(?:bad|broken|wrong))\b`,
			`(?:because of|due to|blame|caused by|fault of|error of|mistake by|error by) @?` + regexp.QuoteMeta(name) + `(?:$|[^\pL\pN_])`,
		} {
			if compiled, err := regexp.Compile(`(?i)` + pattern); err == nil {
				list = append(list, wordingRule{compiled, why, better})
			}
		}
	}
	return list
}
