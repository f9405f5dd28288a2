package cluster

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Images that the real node has. Pods name them with imagePullPolicy: Never.
const (
	PauseImage = "gameday.test/pause:1"
	// ShopImage is a web server on port 8080, with a `kill` beside it.
	ShopImage = "gameday.test/shop:1"
	// BareImage is the same web server with nothing beside it.
	BareImage = "gameday.test/bare:1"
	// GamedayImage is gameday itself.
	GamedayImage = "gameday.test/gameday:1"
	// PoliciesImage is kube-network-policies, which enforces network policies.
	PoliciesImage = "gameday.test/kube-network-policies:1"
)

// image is a container image of one static program.
type image struct {
	reference string
	pkg       string   // what go builds, relative to the module; empty: one of the cluster's programs
	program   string   // where it is in the image
	links     []string // further names of it
}

var images = []image{
	{PauseImage, "internal/cluster/incontainer", "pause", nil},
	{ShopImage, "internal/cluster/incontainer", "shop", []string{"bin/kill"}},
	{BareImage, "internal/cluster/incontainer", "shop", nil},
	{GamedayImage, "cmd/gameday", "gameday", nil},
	{PoliciesImage, "", networkPolicies, nil},
}

// makeImages builds all images from this module, as archives in a folder that
// containerd imports.
func makeImages(ctx context.Context, bin, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make a folder for images: %w", err)
	}
	for i, it := range images {
		program := filepath.Join(bin, it.program)
		if it.pkg != "" {
			program = filepath.Join(dir, filepath.Base(it.pkg))
		}
		if _, err := os.Stat(program); err != nil {
			command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "github.com/gameday-sh/gameday/"+it.pkg)
			command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
			if output, err := command.CombinedOutput(); err != nil {
				return fmt.Errorf("build %s for an image: %w\n%s", it.pkg, err, output)
			}
		}
		if err := it.write(program, filepath.Join(dir, fmt.Sprintf("%d.tar", i))); err != nil {
			return fmt.Errorf("write the image %s: %w", it.reference, err)
		}
	}
	return nil
}

// write makes an archive as `docker save` does: one layer, its configuration, a list.
func (it image) write(program, path string) error {
	binary, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	layer := []tar.Header{
		{Name: it.program, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(binary))},
	}
	for _, name := range []string{"bin/", "tmp/", "proc/", "sys/", "dev/", "etc/"} {
		layer = append(layer, tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755})
	}
	for _, name := range it.links {
		layer = append(layer, tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: "/" + it.program, Mode: 0o777})
	}
	layerTar, err := archive(layer, map[string][]byte{it.program: binary})
	if err != nil {
		return err
	}
	configuration, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": "1970-01-01T00:00:00Z",
		"config": map[string]any{"Entrypoint": []string{"/" + it.program}, "Env": []string{"PATH=/bin"}, "WorkingDir": "/"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layerTar))}},
	})
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%x.json", sha256.Sum256(configuration))
	list, err := json.Marshal([]map[string]any{{"Config": name, "RepoTags": []string{it.reference}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	files := map[string][]byte{name: configuration, "layer.tar": layerTar, "manifest.json": list}
	var headers []tar.Header
	for name, content := range files {
		headers = append(headers, tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))})
	}
	slices.SortFunc(headers, func(a, b tar.Header) int { return strings.Compare(a.Name, b.Name) })
	whole, err := archive(headers, files)
	if err != nil {
		return err
	}
	return os.WriteFile(path, whole, 0o644)
}

// archive is a tar of what the headers say.
func archive(headers []tar.Header, content map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, header := range headers {
		if err := w.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := w.Write(content[header.Name]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
