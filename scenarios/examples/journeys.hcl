# Three user journeys through the built-in shop, each as its steps. The payment
# provider fails: who wants to pay cannot, and everybody else must not notice.
#
# Verdict: held

variable "password" {
  description = "Password of the shop's customer; yours comes from env()"
  default     = "tea-for-two"
  sensitive   = true
}

sandbox "shop" {}

journey "login" {
  description = "User Login"
  criticality = "high"
  every       = "250ms"
  timeout     = "2s"

  step "Load login page" {
    url = "${sandbox.shop.url}/login"

    capture "csrf" {
      regexp = "name=\"csrf\" type=\"hidden\" value=\"([^\"]+)\""
    }
  }

  step "Submit credentials" {
    url              = "${sandbox.shop.url}/login"
    form             = { user = "ada", password = var.password, csrf = capture.csrf }
    follow_redirects = false
    status           = ["303"]
  }

  step "Receive auth token" {
    url = "${sandbox.shop.url}/token"

    capture "token" {
      json_path = "$.token"
    }
  }

  step "Redirect to dashboard" {
    url         = "${sandbox.shop.url}/account"
    headers     = { Authorization = "Bearer ${capture.token}" }
    json_path   = "$.user"
    json_equals = "ada"
  }
}

journey "search" {
  description = "Product Search"
  criticality = "high"
  every       = "250ms"
  timeout     = "2s"

  step "Enter search query" {
    url = sandbox.shop.url

    capture "product" {
      json_path = "$.offer.name"
    }
  }

  step "Display results" {
    url         = "${sandbox.shop.url}/search?q=${capture.product}"
    json_path   = "$.count"
    json_equals = "2"
  }

  step "Filter results" {
    url         = "${sandbox.shop.url}/search?q=${capture.product}&max_cents=1000"
    json_path   = "$.count"
    json_equals = "1"
  }
}

journey "checkout" {
  description = "Checkout Process"
  criticality = "critical"
  every       = "250ms"
  timeout     = "2s"

  step "Add to cart" {
    url  = "${sandbox.shop.url}/cart"
    body = jsonencode({ product = "teapot", quantity = 2 })
  }

  step "Review cart" {
    url         = "${sandbox.shop.url}/cart"
    pause       = "100ms"
    json_path   = "$.cents"
    json_equals = "5800"
  }

  step "Enter payment" {
    url  = "${sandbox.shop.url}/cart/payment"
    body = jsonencode({ card = "4111111111111111" })

    capture "payment" {
      json_path = "$.payment"
    }
  }

  step "Complete order" {
    url          = sandbox.shop.checkout_url
    body         = jsonencode({ payment = capture.payment })
    body_matches = "\"receipt\":"
  }
}

slo "checkout" {
  description = "Users who want to buy can"
  objective   = "99%"
  window      = "30d"
  probe       = journey.checkout
}

scenario "payments-down" {
  description = "Without the payment provider users still log in and search"
  seed        = 11

  hypothesis "users log in" {
    probe = journey.login
  }

  hypothesis "users log in fast" {
    probe       = journey.login
    p95_at_most = "500ms"
  }

  hypothesis "users search" {
    probe = journey.search
  }

  hypothesis "users buy again" {
    slo            = slo.checkout
    at_least       = "75%"
    during         = false # nobody can pay while nobody takes the money,
    recover_within = "20s" # and everybody can soon afterwards
    hold           = "4s"
  }

  fault "toxiproxy_down" "no-payments" {
    proxy    = sandbox.shop.payments_proxy
    duration = "5s"
  }
}
