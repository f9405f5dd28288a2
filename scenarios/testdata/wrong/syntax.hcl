probe "http" "door" {
  url = "http://127.0.0.1/
}
