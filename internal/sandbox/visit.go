package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// The one customer who has an account. Nothing in the shop is worth stealing.
const (
	accountUser     = "ada"
	accountPassword = "tea-for-two"
)

// The cookies of a visit.
const (
	visitCookie   = "visit"   // of whoever loaded the login page
	sessionCookie = "session" // of whoever logged in
	cartCookie    = "cart"    // what is in the cart
)

// visits is what customers do at the front door beside browsing and buying at once:
// they log in, search, fill a cart and pay. It keeps nothing of them: what they bring
// along is signed, and what is signed is believed.
type visits struct {
	front *front
	ids   *dice // of visits
	key   []byte
}

// routes are the pages of a visit.
func (v *visits) routes() map[string]frontRoute {
	return map[string]frontRoute{
		"GET /login":         {"/login", v.loginPage},
		"POST /login":        {"/login", v.login},
		"GET /token":         {"/token", v.token},
		"GET /account":       {"/account", v.account},
		"GET /dashboard":     {"/dashboard", v.dashboard},
		"GET /search":        {"/search", v.search},
		"POST /cart":         {"/cart", v.fillCart},
		"GET /cart":          {"/cart", v.cart},
		"POST /cart/payment": {"/cart/payment", v.payment},
	}
}

// sign makes what only this shop can make of a text, for one use.
func (v *visits) sign(use, text string) string {
	mac := hmac.New(sha256.New, v.key)
	fmt.Fprintf(mac, "%s\x00%s", use, text) // a hash never fails to be written
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// signed tells whether a mark is the shop's own.
func (v *visits) signed(use, text, mark string) bool {
	return hmac.Equal([]byte(mark), []byte(v.sign(use, text)))
}

// setCookie gives a visitor a text that comes back as it is.
func (v *visits) setCookie(w http.ResponseWriter, name, text string) {
	value := base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + v.sign(name, text)
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// cookie reads such a text; it is empty where there is none of ours.
func (v *visits) cookie(r *http.Request, name string) string {
	found, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	encoded, mark, _ := strings.Cut(found.Value, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || !v.signed(name, string(text), mark) {
		return ""
	}
	return string(text)
}

var loginForm = template.Must(template.New("login").Parse(`<!doctype html>
<title>Log in</title>
<form method="post" action="/login">
  <input name="user" autocomplete="username">
  <input name="password" type="password">
  <input name="csrf" type="hidden" value="{{.}}">
  <button>Log in</button>
</form>
`))

// loginPage has a form that only whoever loaded it can send.
func (v *visits) loginPage(w http.ResponseWriter, _ *http.Request) error {
	visit := v.ids.key()
	var page bytes.Buffer
	if err := loginForm.Execute(&page, v.sign("csrf", visit)); err != nil {
		return fmt.Errorf("writing the login page: %w", err)
	}
	v.setCookie(w, visitCookie, visit)
	answerAs(w, http.StatusOK, "text/html; charset=utf-8", page.Bytes())
	return nil
}

// login takes the form, and sends who may come in to the dashboard.
func (v *visits) login(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, largestBody)
	if err := r.ParseForm(); err != nil {
		return &badRequest{"the form cannot be read: " + err.Error()}
	}
	if !v.signed("csrf", v.cookie(r, visitCookie), r.PostForm.Get("csrf")) {
		return &refusal{http.StatusForbidden, "the form is not that of the login page: load it again"}
	}
	if r.PostForm.Get("user") != accountUser || r.PostForm.Get("password") != accountPassword {
		return &refusal{http.StatusUnauthorized, "there is no such user, or the password is another"}
	}
	v.setCookie(w, sessionCookie, accountUser)
	answerRedirect(w, "/account")
	return nil
}

// token gives who is logged in a token for the pages that ask for one.
func (v *visits) token(w http.ResponseWriter, r *http.Request) error {
	user := v.cookie(r, sessionCookie)
	if user == "" {
		return errNotLoggedIn
	}
	answerJSON(w, http.StatusOK, struct {
		Token string `json:"token"`
	}{user + "." + v.sign("token", user)})
	return nil
}

// account is where a login leads: to the dashboard.
func (v *visits) account(w http.ResponseWriter, r *http.Request) error {
	if v.cookie(r, sessionCookie) == "" {
		answerRedirect(w, "/login")
		return nil
	}
	answerRedirect(w, "/dashboard")
	return nil
}

// dashboard greets a user with an offer of the catalogue. It is for who brings a token,
// or has logged in.
func (v *visits) dashboard(w http.ResponseWriter, r *http.Request) error {
	user := v.cookie(r, sessionCookie)
	if bearer, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		name, mark, _ := strings.Cut(bearer, ".")
		if !v.signed("token", name, mark) {
			return &refusal{http.StatusUnauthorized, "the token is not ours: get another from /token"}
		}
		user = name
	}
	if user == "" {
		return errNotLoggedIn
	}
	offers, err := v.offers(w, r.Context())
	if err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, struct {
		User  string  `json:"user"`
		Offer product `json:"offer"`
	}{user, offers[0]})
	return nil
}

// offers is what is for sale; there is something.
func (v *visits) offers(w http.ResponseWriter, ctx context.Context) ([]product, error) {
	list, err := v.front.products(w, ctx)
	if err != nil {
		return nil, err
	}
	var offers []product
	if err := json.Unmarshal(list, &offers); err != nil || len(offers) == 0 {
		return nil, errors.Join(fmt.Errorf("%s answered with no products", catalogue), err)
	}
	return offers, nil
}

// search finds products by a part of their name, and by their price.
func (v *visits) search(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	most := int(^uint(0) >> 1)
	if text := query.Get("max_cents"); text != "" {
		var err error
		if most, err = strconv.Atoi(text); err != nil {
			return &badRequest{"max_cents is a whole number, such as max_cents=1000"}
		}
	}
	offers, err := v.offers(w, r.Context())
	if err != nil {
		return err
	}
	found := []product{}
	for _, offer := range offers {
		if strings.Contains(offer.Name, query.Get("q")) && offer.Cents <= most {
			found = append(found, offer)
		}
	}
	answerJSON(w, http.StatusOK, struct {
		Count   int       `json:"count"`
		Results []product `json:"results"`
	}{len(found), found})
	return nil
}

// fillCart puts an order into the cart, in the place of what was there.
func (v *visits) fillCart(w http.ResponseWriter, r *http.Request) error {
	wanted, err := readOrder(w, r, order{Quantity: 1})
	if err != nil {
		return err
	}
	offers, err := v.offers(w, r.Context())
	if err != nil {
		return err
	}
	for _, offer := range offers {
		if offer.Name == wanted.Product {
			text, err := json.Marshal(wanted)
			if err != nil {
				return fmt.Errorf("writing the cart: %w", err)
			}
			v.setCookie(w, cartCookie, string(text))
			answerJSON(w, http.StatusCreated, wanted)
			return nil
		}
	}
	return &refusal{http.StatusNotFound, "there is no product of that name"}
}

// filled is what is in the cart of a visitor.
func (v *visits) filled(r *http.Request) (wanted order, found bool) {
	text := v.cookie(r, cartCookie)
	return wanted, text != "" && json.Unmarshal([]byte(text), &wanted) == nil
}

// cart shows what is in the cart, and what that costs today.
func (v *visits) cart(w http.ResponseWriter, r *http.Request) error {
	wanted, found := v.filled(r)
	if !found {
		return errEmptyCart
	}
	offers, err := v.offers(w, r.Context())
	if err != nil {
		return err
	}
	for _, offer := range offers {
		if offer.Name == wanted.Product {
			answerJSON(w, http.StatusOK, struct {
				order
				Cents int `json:"cents"`
			}{wanted, wanted.Quantity * offer.Cents})
			return nil
		}
	}
	return &refusal{http.StatusNotFound, "the product in the cart is no longer for sale"}
}

// payment takes the number of a card for the cart, and gives a token to order with.
func (v *visits) payment(w http.ResponseWriter, r *http.Request) error {
	if _, found := v.filled(r); !found {
		return errEmptyCart
	}
	var paid struct {
		Card string `json:"card"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestBody)).Decode(&paid); err != nil || strings.TrimSpace(paid.Card) == "" {
		return &badRequest{`send the number of a card: {"card":"4111111111111111"}`}
	}
	answerJSON(w, http.StatusOK, struct {
		Payment string `json:"payment"`
	}{v.sign("payment", v.cookie(r, cartCookie))})
	return nil
}

// ordered is the order of a checkout: what is in the cart, if that was paid for, or what
// the body says.
func (v *visits) ordered(w http.ResponseWriter, r *http.Request) (order, error) {
	wanted := order{Product: products[0].Name, Quantity: 1}
	inCart, found := v.filled(r)
	if found {
		wanted = inCart
	}
	wanted, err := readOrder(w, r, wanted)
	if err != nil {
		return order{}, err
	}
	if found && !v.signed("payment", v.cookie(r, cartCookie), wanted.Payment) {
		return order{}, &refusal{http.StatusPaymentRequired, "the cart has no payment: send the one that /cart/payment gave for it"}
	}
	wanted.Payment = ""
	return wanted, nil
}

// readOrder reads an order from a body, which may leave out what is in preset.
func readOrder(w http.ResponseWriter, r *http.Request, preset order) (order, error) {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestBody))
	if err := decoder.Decode(&preset); err != nil && !errors.Is(err, io.EOF) {
		return order{}, &badRequest{"the order cannot be read: " + err.Error() + `; send {"product":"tea","quantity":1}`}
	}
	if strings.TrimSpace(preset.Product) == "" || preset.Quantity < 1 {
		return order{}, &badRequest{`an order needs a product and a quantity of at least 1: {"product":"tea","quantity":1}`}
	}
	return preset, nil
}

// refusal is an answer to a customer who may not do what they asked for.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

var (
	errNotLoggedIn = &refusal{http.StatusUnauthorized, "log in first, at /login"}
	errEmptyCart   = &refusal{http.StatusNotFound, "the cart is empty: POST /cart fills it"}
)

func answerRedirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
