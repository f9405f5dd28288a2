probe "http" "door" {
  url    = "http://127.0.0.1/"
  evry   = "1s"
  colour = "red"
  tls {
    ca     = "ca.pem"
    insecur = true
  }
  retri { after = "1s" }
}

timeout = "1s"
