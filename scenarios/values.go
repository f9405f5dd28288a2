package scenarios

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// sensitiveMark marks values that may only reach fields made for secrets.
type sensitiveMark struct{}

// handle is what a reference such as slo.checkout evaluates to. It carries no
// data, so that no function can print it.
type handle struct {
	address string // "slo.checkout"
	value   any    // *experiments.SLO, *experiments.Probed, *connection or faultName
}

// faultName is a reference to a fault of the same scenario.
type faultName string

// amount is a number that may also be written as a duration, which counts in
// seconds.
type amount float64

var (
	handleType   = cty.Capsule("reference", reflect.TypeFor[handle]())
	durationType = reflect.TypeFor[time.Duration]()
	percentType  = reflect.TypeFor[experiments.Percent]()
	rangeType    = reflect.TypeFor[experiments.Range]()
	secretType   = reflect.TypeFor[experiments.Secret]()
	sloType      = reflect.TypeFor[*experiments.SLO]()
	goldenType   = reflect.TypeFor[*experiments.GoldenSignals]()
	probedType   = reflect.TypeFor[*experiments.Probed]()
	receiverType = reflect.TypeFor[*experiments.ReceiverPlan]()
	policyType   = reflect.TypeFor[*experiments.Policy]()
	faultType    = reflect.TypeFor[faultName]()
	amountType   = reflect.TypeFor[amount]()
)

// selfKey is where the object of a connection, which also holds its exports,
// keeps its handle. No name can collide with it.
const selfKey = "(connection)"

// valueError tells what is wrong with a value: a summary and what to write instead.
type valueError struct{ summary, detail string }

func (e *valueError) Error() string { return e.summary + ": " + e.detail }

func wrongValue(summary, format string, args ...any) error {
	return &valueError{summary, fmt.Sprintf(format, args...)}
}

// errUnknown tells that a value is known only when the connections are open.
var errUnknown = errors.New("not known yet")

// assign converts val into field. It reports errUnknown for a value that is not
// known yet, and leaves field alone then. Texts that land in a Secret are handed
// to keep.
func assign(field reflect.Value, val cty.Value, keep func(string)) error {
	t := field.Type()
	if t.Kind() == reflect.Map && t.Elem() == secretType || t == secretType {
		return assignSecret(field, val, keep)
	}
	if t == templateType || t == templateMapType {
		return assignTemplate(field, val, keep)
	}
	if val.ContainsMarked() {
		return wrongValue("Secret in a plain attribute", "The value comes from env() or from a sensitive variable, and this attribute may be printed and stored. Use an attribute made for secrets, such as `headers`; or, if the value is no secret, write nonsensitive(...) around it.")
	}
	if !val.IsKnown() {
		return errUnknown
	}
	if t.Kind() == reflect.Pointer && scalar(t.Elem()) {
		one := reflect.New(t.Elem())
		if err := assign(one.Elem(), val, keep); err != nil {
			return err
		}
		field.Set(one)
		return nil
	}
	switch t {
	case durationType, rangeType, percentType, amountType:
		return assignUnit(field, val)
	case sloType, probedType, faultType:
		return assignHandle(field, val)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return assignHandle(field, val)
	case reflect.Slice:
		return assignSlice(field, val, keep)
	case reflect.Map:
		return assignMap(field, val, keep)
	}
	return assignScalar(field, val)
}

// scalar tells whether values of the type are written as one text or number.
func scalar(t reflect.Type) bool {
	switch t {
	case durationType, rangeType, percentType, amountType, secretType, faultType, templateType:
		return true
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float64:
		return true
	}
	return false
}

func assignSecret(field reflect.Value, val cty.Value, keep func(string)) error {
	if field.Kind() == reflect.Map {
		return assignMarkedMap(field, val, keep)
	}
	bare, _ := val.UnmarkDeep()
	if !bare.IsKnown() {
		return errUnknown
	}
	text, err := convert.Convert(bare, cty.String)
	if err != nil || text.IsNull() {
		return wrongType(bare, field.Type())
	}
	keep(text.AsString())
	field.Set(reflect.ValueOf(experiments.NewSecret(text.AsString())))
	return nil
}

func assignUnit(field reflect.Value, val cty.Value) error {
	t := field.Type()
	if val.Type() == cty.Number {
		number := val.AsBigFloat().Text('g', 20)
		switch t {
		case amountType:
			value, _ := val.AsBigFloat().Float64()
			field.SetFloat(value)
			return nil
		case percentType:
			return wrongValue("Not a percent", "A percent is a text with a percent sign: write \"%s%%\".", asPercent(val.AsBigFloat()))
		case durationType:
			return wrongValue("Not a duration", "A duration needs a unit: write \"%ss\" or \"%sms\".", number, number)
		}
		return wrongValue("Not a range of durations", "A duration needs a unit: write \"%ss\", or a range such as \"30s..120s\".", number)
	}
	if val.Type() != cty.String {
		return wrongType(val, t)
	}
	text := val.AsString()
	var value any
	var err error
	summary := "Not a duration"
	switch t {
	case durationType:
		value, err = experiments.ParseDuration(text)
	case rangeType:
		summary = "Not a range of durations"
		value, err = experiments.ParseRange(text)
	case percentType:
		summary = "Not a percent"
		value, err = experiments.ParsePercent(text)
	case amountType:
		summary = "Not a number"
		value, err = parseAmount(text)
	}
	if err != nil {
		if meant := guess(text, t); meant != "" {
			return wrongValue(summary, "%q is not %s; write %q.", text, strings.Replace(typeName(t), "a duration or ", "", 1), meant)
		}
		return wrongValue(summary, "%s.", capital(err.Error()))
	}
	field.Set(reflect.ValueOf(value))
	return nil
}

// asPercent guesses what percent a bare number was meant to be: 0.999 is 99.9.
func asPercent(number *big.Float) string {
	value, _ := number.Float64()
	if value > 0 && value < 1 {
		return strings.TrimSuffix(experiments.Percent(value).String(), "%")
	}
	return number.Text('g', 20)
}

func parseAmount(text string) (amount, error) {
	if number, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil && !math.IsNaN(number) && !math.IsInf(number, 0) {
		return amount(number), nil
	}
	duration, err := experiments.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a number nor a duration; write 250 or, for a value in seconds, \"250ms\"", text)
	}
	return amount(duration.Seconds()), nil
}

func assignHandle(field reflect.Value, val cty.Value) error {
	found := val
	if val.Type().IsObjectType() && val.Type().HasAttribute(selfKey) {
		found = val.GetAttr(selfKey)
	}
	if !found.Type().Equals(handleType) {
		return wrongType(val, field.Type())
	}
	ref, ok := found.EncapsulatedValue().(*handle)
	if !ok {
		return wrongType(val, field.Type())
	}
	value := ref.value
	if instance, isConnection := value.(*connection); isConnection {
		value = instance.value
	}
	if value == nil {
		return errUnknown
	}
	if !reflect.TypeOf(value).AssignableTo(field.Type()) {
		if detail := goldenInstead(ref, field.Type()); detail != "" {
			return wrongValue("Wrong reference", "%s", detail)
		}
		return wrongValue("Wrong reference", "%s is not %s.", ref.address, typeName(field.Type()))
	}
	field.Set(reflect.ValueOf(value))
	return nil
}

func assignSlice(field reflect.Value, val cty.Value, keep func(string)) error {
	if !val.CanIterateElements() || val.Type().IsObjectType() || val.Type().IsMapType() {
		if scalar(field.Type().Elem()) && val.Type().IsPrimitiveType() {
			return wrongValue("Not a list", "Write %s in brackets: [%s].", typeName(field.Type()), literal(val))
		}
		return wrongType(val, field.Type())
	}
	out := reflect.MakeSlice(field.Type(), 0, val.LengthInt())
	for i, element := range val.AsValueSlice() {
		if element.IsNull() {
			continue
		}
		one := reflect.New(field.Type().Elem()).Elem()
		if err := assign(one, element, keep); err != nil {
			return within(err, strconv.Itoa(i))
		}
		out = reflect.Append(out, one)
	}
	field.Set(out)
	return nil
}

func assignMap(field reflect.Value, val cty.Value, keep func(string)) error {
	if !val.CanIterateElements() || !(val.Type().IsObjectType() || val.Type().IsMapType()) {
		return wrongType(val, field.Type())
	}
	out := reflect.MakeMapWithSize(field.Type(), val.LengthInt())
	for key, element := range val.AsValueMap() {
		if element.IsNull() {
			continue
		}
		one := reflect.New(field.Type().Elem()).Elem()
		if err := assign(one, element, keep); err != nil {
			return within(err, strconv.Quote(key))
		}
		out.SetMapIndex(reflect.ValueOf(key), one)
	}
	field.Set(out)
	return nil
}

func assignScalar(field reflect.Value, val cty.Value) error {
	t := field.Type()
	if !val.Type().IsPrimitiveType() {
		return wrongType(val, t)
	}
	switch t.Kind() {
	case reflect.String:
		text, err := convert.Convert(val, cty.String)
		if err != nil {
			return wrongType(val, t)
		}
		field.SetString(text.AsString())
		return nil
	case reflect.Bool:
		truth, err := convert.Convert(val, cty.Bool)
		if err != nil {
			return wrongType(val, t)
		}
		field.SetBool(truth.True())
		return nil
	}
	number, err := convert.Convert(val, cty.Number)
	if err != nil {
		return wrongType(val, t)
	}
	return assignNumber(field, number.AsBigFloat())
}

func assignNumber(field reflect.Value, number *big.Float) error {
	text := number.Text('g', 10)
	switch {
	case field.CanFloat():
		value, _ := number.Float64()
		if math.IsInf(value, 0) {
			return wrongValue("Number too large", "%s does not fit.", text)
		}
		field.SetFloat(value)
	case field.CanInt():
		value, accuracy := number.Int64()
		if !number.IsInt() {
			return wrongValue("Not a whole number", "%s has a fraction; write a whole number.", text)
		}
		if accuracy != big.Exact || field.OverflowInt(value) {
			return wrongValue("Number too large", "%s does not fit.", text)
		}
		field.SetInt(value)
	case field.CanUint():
		value, accuracy := number.Uint64()
		if !number.IsInt() || number.Sign() < 0 {
			return wrongValue("Not a whole number", "%s is negative or has a fraction; write a whole number from 0.", text)
		}
		if accuracy != big.Exact || field.OverflowUint(value) {
			return wrongValue("Number too large", "%s does not fit.", text)
		}
		field.SetUint(value)
	default:
		return wrongValue("Unsupported attribute type", "A field of the Go type %s cannot be written in a scenario.", field.Type())
	}
	return nil
}

// wrongType says what was given and what is wanted.
func wrongType(val cty.Value, want reflect.Type) error {
	got := givenName(val.Type())
	if val.Type().Equals(handleType) {
		got = "reference"
		if ref, ok := val.EncapsulatedValue().(*handle); ok {
			got = "reference to " + ref.address
		}
	} else if val.Type().IsObjectType() && val.Type().HasAttribute(selfKey) {
		got = "connection"
		if ref, ok := val.GetAttr(selfKey).EncapsulatedValue().(*handle); ok {
			got = "reference to " + ref.address
		}
	}
	example := exampleOf(want)
	if want == reflect.SliceOf(goldenType) {
		example = ", such as [golden_signals.checkout]"
	}
	if meant := unquote(val, want); meant != "" {
		example = ": write " + meant + " without quotes"
	}
	return wrongValue("Wrong type", "This is %s; %s is needed%s.", article(got), typeName(want), example)
}

// givenName names the type of a value for people.
func givenName(t cty.Type) string {
	switch {
	case t == cty.String:
		return "text"
	case t.IsTupleType() || t.IsListType() || t.IsSetType():
		return "list"
	case t.IsObjectType() || t.IsMapType():
		return "map"
	}
	return t.FriendlyName()
}

// within says in which element of a collection the error is.
func within(err error, key string) error {
	var wrong *valueError
	if errors.As(err, &wrong) {
		return &valueError{wrong.summary, "In element " + key + ": " + wrong.detail}
	}
	return err
}

// literal writes a primitive as it stands in a scenario.
func literal(val cty.Value) string {
	text, err := convert.Convert(val, cty.String)
	if err != nil || text.IsNull() || !text.IsKnown() {
		return "..."
	}
	if val.Type() == cty.String {
		return strconv.Quote(text.AsString())
	}
	return text.AsString()
}

// typeName names a type for people: "a duration".
func typeName(t reflect.Type) string {
	switch t {
	case durationType:
		return "a duration"
	case percentType:
		return "a percent"
	case rangeType:
		return "a duration or a range of durations"
	case secretType:
		return "a secret text"
	case templateType:
		return "a text that may hold captured values"
	case amountType:
		return "a number or a duration"
	case sloType:
		return "a reference to an slo"
	case probedType:
		return "a reference to a probe or a journey"
	case goldenType:
		return "a reference to golden_signals"
	case policyType:
		return "a reference to an error_budget_policy"
	case receiverType:
		return "a reference to a notify block"
	case faultType:
		return "a reference to a fault"
	}
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list of " + plural(t.Elem())
	case reflect.Map:
		return "a map of " + plural(t.Elem())
	case reflect.Pointer:
		if scalar(t.Elem()) {
			return typeName(t.Elem())
		}
		return "a reference to a connection"
	}
	return "a whole number"
}

func plural(t reflect.Type) string {
	word := strings.TrimPrefix(typeName(t), "a ")
	switch word {
	case "true or false":
		return "booleans"
	case "duration or a range of durations":
		return "ranges of durations"
	case "number or a duration":
		return "numbers"
	case "text that may hold captured values":
		return "texts that may hold captured values"
	}
	if head, rest, found := strings.Cut(word, " to "); found {
		return head + "s to " + rest
	}
	return word + "s"
}

// exampleOf gives a value of a type to copy.
func exampleOf(t reflect.Type) string {
	switch t {
	case durationType:
		return ", such as \"30s\""
	case percentType:
		return ", such as \"99.5%\""
	case rangeType:
		return ", such as \"30s..120s\""
	case sloType:
		return ", such as slo.checkout"
	case probedType:
		return ", such as probe.front_door"
	case policyType:
		return ", such as error_budget_policy.standard"
	case goldenType:
		return ", such as golden_signals.checkout"
	case receiverType:
		return ", such as notify.team"
	case faultType:
		return ", such as fault.late-payments"
	}
	switch {
	case t.Kind() == reflect.Slice && !scalar(t.Elem()):
		return strings.Replace(exampleOf(t.Elem()), "such as ", "such as [", 1) + "]"
	}
	switch t.Kind() {
	case reflect.Slice:
		return ", such as [\"a\", \"b\"]"
	case reflect.Map:
		return ", such as { name = \"value\" }"
	}
	return ""
}

func article(word string) string {
	if word != "" && slices.Contains([]byte("aeiou"), word[0]) {
		return "an " + word
	}
	return "a " + word
}

func capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
