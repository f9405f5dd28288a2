prometheus "one" {}
prometheus "two" {}
prometheus "url" {}

scrape "shop" {
  url = "http://127.0.0.1/"
}

scrape "one" "two" {}
