package reports

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// colour is an sRGB colour with its opacity, each from 0 to 1.
type colour [4]float64

func parseColour(t *testing.T, text string) colour {
	t.Helper()
	digits, found := strings.CutPrefix(text, "#")
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	if len(digits) == 6 {
		digits += "ff"
	}
	number, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || !found || len(digits) != 8 {
		t.Fatalf("%q is not a colour", text)
	}
	return colour{float64(number>>24) / 255, float64(number>>16&255) / 255, float64(number>>8&255) / 255, float64(number&255) / 255}
}

// over is what is seen of a colour, with an opacity of its own, over another.
func (c colour) over(below colour, opacity float64) colour {
	a := c[3] * opacity
	for i := range 3 {
		c[i] = c[i]*a + below[i]*(1-a)
	}
	c[3] = 1
	return c
}

// luminance and contrast are those of WCAG 2.2.
func (c colour) luminance() float64 {
	linear := func(v float64) float64 {
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}

func contrast(a, b colour) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestContrastIsThatOfTheFormula(t *testing.T) {
	black, white := parseColour(t, "#000"), parseColour(t, "#ffffff")
	if got := contrast(black, white); math.Abs(got-21) > 1e-9 {
		t.Errorf("black on white is %g", got)
	}
	if got := contrast(parseColour(t, "#777"), white); math.Abs(got-4.48) > 0.01 {
		t.Errorf("#777 on white is %g", got)
	}
	if got := black.over(white, 0.5); math.Abs(got[0]-0.5) > 1e-9 {
		t.Errorf("half black on white is %v", got)
	}
}

// palettes reads the variables of the style: of light, and of dark, which changes them.
func palettes(t *testing.T) map[string]map[string]colour {
	t.Helper()
	roots := regexp.MustCompile(`:root \{([^}]*)\}`).FindAllStringSubmatch(style, -1)
	if len(roots) < 2 {
		t.Fatalf("the style has %d palettes", len(roots))
	}
	variable := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]+);`)
	light, dark := map[string]colour{}, map[string]colour{}
	for _, one := range variable.FindAllStringSubmatch(roots[0][1], -1) {
		light[one[1]], dark[one[1]] = parseColour(t, one[2]), parseColour(t, one[2])
	}
	changed := 0
	for _, one := range variable.FindAllStringSubmatch(roots[1][1], -1) {
		if _, known := light[one[1]]; !known {
			t.Errorf("only dark has --%s", one[1])
		}
		dark[one[1]] = parseColour(t, one[2])
		changed++
	}
	if changed != len(light) {
		t.Errorf("dark sets %d of %d colours", changed, len(light))
	}
	return map[string]map[string]colour{"light": light, "dark": dark}
}

// The contrasts of WCAG 2.2, level AA: 1.4.3 for texts, 1.4.11 for graphics.
const (
	textContrast    = 4.5
	graphicContrast = 3
)

func TestEveryColourOfThePageHasTheContrastOfLevelAA(t *testing.T) {
	texts := []string{"ink", "soft", "held", "refuted", "aborted", "inconclusive", "not-restored", "error", "fault"}
	graphics := []string{"data", "bar", "held", "refuted", "aborted"}
	phase := regexp.MustCompile(`rect\.(baseline|disrupt|revert|recover) \{ fill: (#[0-9a-f]+)`)
	for name, palette := range palettes(t) {
		check := func(what string, a, b colour, least float64) {
			if got := contrast(a, b); got < least {
				t.Errorf("%s: %s has a contrast of %.2f, less than %g", name, what, got, least)
			}
		}
		for _, text := range texts {
			for _, below := range []string{"page", "card"} {
				check(fmt.Sprintf("the text --%s on --%s", text, below), palette[text], palette[below], textContrast)
			}
		}
		check("code", palette["ink"], palette["code"], textContrast)
		for _, shape := range graphics {
			check("the shape --"+shape, palette[shape], palette["card"], graphicContrast)
			window := palette["window"].over(palette["card"], 1)
			check("the shape --"+shape+" while a fault is on", palette[shape], window, graphicContrast)
		}
		// Labels in a chart may stand on the shade of a fault.
		for _, text := range []string{"ink", "fault", "aborted"} {
			check("the label --"+text+" while a fault is on", palette[text], palette["window"].over(palette["card"], 1), textContrast)
		}
		phases := phase.FindAllStringSubmatch(style, -1)
		if len(phases) != 4 {
			t.Fatalf("the style has %d phases", len(phases))
		}
		for _, one := range phases {
			// Half seen, as rect.phase says.
			check("the name of the phase "+one[1], palette["ink"], parseColour(t, one[2]).over(palette["card"], 0.55), textContrast)
		}
	}
	if !strings.Contains(style, "rect.phase { opacity: .55; }") {
		t.Error("the opacity of phases is another one")
	}
}

func TestTheStyleLeavesTextAsLargeAsPeopleSetIt(t *testing.T) {
	for _, forbidden := range []string{"user-scalable", "maximum-scale", "outline: none", "outline: 0"} {
		if strings.Contains(style+pageText, forbidden) {
			t.Errorf("the page has %q", forbidden)
		}
	}
	// What scrolls on its own must be reached with the keyboard (WCAG 2.1.1): nothing does.
	if scrolls := regexp.MustCompile(`overflow(-[xy])?: (auto|scroll)`).FindString(style); scrolls != "" {
		t.Errorf("the style has %q: give what scrolls tabindex=0, a role and a name", scrolls)
	}
}
