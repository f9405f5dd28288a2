# Mistakes in journeys, and in references to them.
variable "password" {
  default = "planted-secret-1"
}

journey "checkout" {
  criticality = "urgent"
  every       = "50ms"
  timeout     = "5m"

  step "log in" {
    url  = "http://127.0.0.1/${capture.id}"
    body = "password=${var.password}"

    capture "token" {
      regexp = "t=(.*)"
    }
    capture "no name" {
      regexp = "x"
    }
  }

  step "pay" {
    url     = "http://127.0.0.1/pay?token=${capture.tokn}"
    headers = { Authorization = token }
    status  = [capture.token]
    body    = upper(capture.token)

    capture "receipt" {
      regexp = "r=(.*)"
    }
  }

  step "pay" {
    url     = "http://127.0.0.1/${capture.later}"
    headers = { Cart = capture.receipt.id }
    body    = jsonencode({ inner = jsonencode([capture.token]) })
  }

  step "thank" {
    url = "http://127.0.0.1/${capture}"

    capture "later" {
      regexp = "x"
    }
  }
}

journey "login" {
  step {
    url = "http://127.0.0.1/"
  }

  step "load" {
    url = "http://127.0.0.1/"

    capture {
      regexp = "x"
    }
  }

  step "log in" {
    url = "http://127.0.0.1/${capture.what}"
  }
}

journey "empty" {}

journey "thoughtful" {
  timeout = "2s"

  step "look" {
    url   = "http://127.0.0.1/"
    pause = "2s"
  }
}

journey "search" {
  description = "Stays ${capture.token}"

  step "search" {
    url = "${probe.door}"
    pause = "1s"
  }
}

probe "http" "door" {
  url = "http://127.0.0.1/${capture.token}"
}

scenario "s" {
  hypothesis "users can check out" {
    probe = journey.chekout
  }
  hypothesis "users can log in" {
    probe = probe.login
  }
  hypothesis "users can search" {
    probe = search
  }
  hypothesis "users think" {
    probe = "journey.thoughtful"
  }
  fault "pod_kill" "one" {
    selector = "app=shop"
  }
}
