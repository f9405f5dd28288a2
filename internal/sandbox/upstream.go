package sandbox

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// How long the two services work on a request.
const (
	catalogueWork = time.Millisecond
	paymentsWork  = 2 * time.Millisecond
)

// product is a thing for sale.
type product struct {
	Name  string `json:"name"`
	Cents int    `json:"cents"`
}

var products = [...]product{
	{"tea", 450}, {"teapot", 2900}, {"cup", 800}, {"strainer", 650},
	{"kettle", 4900}, {"honey", 720}, {"biscuits", 380}, {"tray", 1900},
}

// newCatalogue is the service that knows what is for sale.
func newCatalogue(m *metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.Handle("GET /products", m.counted(catalogue, "/products", http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(catalogueWork)
			answerJSON(w, http.StatusOK, products)
		})))
	return mux
}

// newPayments is the payment provider. Its answer depends on the Idempotency-Key
// alone: the same key gets the same receipt, or the same refusal, however often
// it asks. errorRate is therefore the share of payments that fail, retried or not.
func newPayments(m *metrics, errorRate experiments.Percent, seed uint64) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.Handle("POST /charge", m.counted(payments, "/charge", http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			key := r.Header.Get("Idempotency-Key")
			if key == "" {
				answerError(w, http.StatusBadRequest, "send an Idempotency-Key header, so that trying again charges once")
				return
			}
			time.Sleep(paymentsWork)
			digest := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(key), seed))
			// 53 bits fill a float64 evenly over [0, 1).
			if float64(binary.BigEndian.Uint64(digest[:8])>>11)/(1<<53) < float64(errorRate) {
				answerError(w, http.StatusInternalServerError, "the payment provider failed")
				return
			}
			answerJSON(w, http.StatusOK, receipt{Receipt: hex.EncodeToString(digest[8:16])})
		})))
	return mux
}

// receipt is what the payment provider answers.
type receipt struct {
	Receipt string `json:"receipt"`
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, struct {
		Status string `json:"status"`
	}{"ok"})
}

func answerJSON(w http.ResponseWriter, code int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, code, append(body, '\n'))
}

func answerError(w http.ResponseWriter, code int, text string) {
	answerJSON(w, code, struct {
		Error string `json:"error"`
	}{text})
}

// answer sends body. A customer who hung up cannot be told, so a failed write has
// nobody to go to.
func answer(w http.ResponseWriter, code int, body []byte) {
	answerAs(w, code, "application/json", body)
}

func answerAs(w http.ResponseWriter, code int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(code)
	_, _ = w.Write(body)
}
