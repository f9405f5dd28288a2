# Each target is a plain command that a person could type.

.PHONY: build test cluster cluster-build cluster-down e2e lint bench demo docs

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

build: ## build bin/gameday, which needs no library of the system
	CGO_ENABLED=0 go build -o bin/gameday ./cmd/gameday

# Most tests wait, for real servers and real time: several at once. Whole game days measure
# how fast something answers, so that other packages come after them. The race detector
# would let each program sleep a second before it ends.
test: cluster-build ## run every test, with the race detector
	go vet ./...
	GORACE="$$GORACE atexit_sleep_ms=0" go test -race -parallel 6 -timeout 40m ./cmd/gameday
	GORACE="$$GORACE atexit_sleep_ms=0" go test -race -p 2 -parallel 4 -timeout 40m $$(go list ./... | grep -v '/cmd/gameday$$')

cluster-build: ## the Kubernetes that tests use, from source: minutes, once (not with GAMEDAY_TEST_NO_CLUSTER or GAMEDAY_TEST_KUBECONFIG)
	@test -n "$$GAMEDAY_TEST_NO_CLUSTER$$GAMEDAY_TEST_KUBECONFIG" || go run ./internal/cluster/run build

cluster: ## start a Kubernetes control plane with simulated nodes, print its KUBECONFIG
	@go run ./internal/cluster/run up

cluster-down: ## stop it
	go run ./internal/cluster/run down

# Built outside: within the node's network namespace there is no network.
e2e: ## faults on real pods: root on Linux, with runc, the CNI plugins and iptables
	go test -tags e2e -run '^TestNode' -count 1 ./internal/cluster
	go test -c -o bin/e2e/gameday.test ./cmd/gameday
	go test -c -o bin/e2e/faults.test ./faults
	cd cmd/gameday && go run ../../internal/cluster/run e2e -- sh -c '\
	  ../../bin/e2e/gameday.test -test.timeout 20m -test.parallel 4 -test.v -test.run "^TestReal|^TestEachShippedExample/^(kubernetes|container-kill)$$" && \
	  cd ../../faults && ../bin/e2e/faults.test -test.timeout 20m -test.parallel 4 -test.v -test.run "^TestContainerKill"'

lint: ## what a reviewer would say first
	test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

bench: ## the figures, each beside its raw limit
	go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./cmd/gameday ./guards
	go test -run '^$$' -bench . ./scenarios ./reports ./experiments/...

demo: ## a whole game day on the built-in shop
	go run ./cmd/gameday run quickstart

docs: ## docs/language.md from the code
	go run ./cmd/gameday explain --reference > docs/language.md
