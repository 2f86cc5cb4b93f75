// Command render lints and renders Helm charts with Helm's own packages, and does nothing else.
//
// It takes the two commands of helm that need no cluster, with the options of theirs that the tests
// of the chart use, and prints what helm would print. The whole of helm takes longer to build.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"helm.sh/helm/v3/pkg/releaseutil"
)

const usage = `Usage: render template RELEASE CHART [OPTION]...   the manifests, then the hooks
       render lint CHART [OPTION]...               what helm lint finds

  --values FILE         values over the chart's own; again for more, the last one wins
  --namespace NAME      the release's namespace (default: default)
  --kube-version V      the cluster's version (default: that of this Helm)
  --api-versions A,B    APIs that the cluster has beside Kubernetes' own
  --notes               template: print NOTES.txt alone
  --strict              lint: a warning is an error
`

type texts []string

func (t *texts) String() string         { return strings.Join(*t, ",") }
func (t *texts) Set(value string) error { *t = append(*t, value); return nil }

type options struct {
	files                  texts
	namespace, kubeVersion string
	apiVersions            string
	notes, strict          bool
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(arguments []string, out io.Writer) error {
	switch {
	case len(arguments) >= 3 && arguments[0] == "template":
		chosen, err := parse(arguments[3:])
		if err != nil {
			return err
		}
		return template(arguments[1], arguments[2], chosen, out)
	case len(arguments) >= 2 && arguments[0] == "lint":
		chosen, err := parse(arguments[2:])
		if err != nil {
			return err
		}
		return check(arguments[1], chosen, out)
	}
	return errors.New(usage)
}

func parse(arguments []string) (options, error) {
	var chosen options
	flags := flag.NewFlagSet("render", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Var(&chosen.files, "values", "")
	flags.StringVar(&chosen.namespace, "namespace", "default", "")
	flags.StringVar(&chosen.kubeVersion, "kube-version", "", "")
	flags.StringVar(&chosen.apiVersions, "api-versions", "", "")
	flags.BoolVar(&chosen.notes, "notes", false, "")
	flags.BoolVar(&chosen.strict, "strict", false, "")
	if err := flags.Parse(arguments); err != nil {
		return chosen, fmt.Errorf("%w\n%s", err, usage)
	}
	if flags.NArg() > 0 {
		return chosen, fmt.Errorf("unknown argument %s\n%s", flags.Arg(0), usage)
	}
	return chosen, nil
}

func template(release, folder string, chosen options, out io.Writer) error {
	loaded, err := loader.Load(folder)
	if err != nil {
		return err
	}
	values, err := merged(chosen.files)
	if err != nil {
		return err
	}
	able, err := capabilities(chosen)
	if err != nil {
		return err
	}
	if err := compatible(loaded, able); err != nil {
		return err
	}
	all, err := chartutil.ToRenderValues(loaded, values, chartutil.ReleaseOptions{
		Name: release, Namespace: chosen.namespace, Revision: 1, IsInstall: true,
	}, able)
	if err != nil {
		return err
	}
	rendered, err := engine.Render(loaded, all)
	if err != nil {
		return err
	}
	return printed(rendered, able, chosen.notes, out)
}

// merged puts each file's values over those of the files before it.
func merged(files []string) (map[string]any, error) {
	values := map[string]any{}
	for _, file := range files {
		read, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		values = chartutil.MergeTables(read, values)
	}
	return values, nil
}

func capabilities(chosen options) (*chartutil.Capabilities, error) {
	able := chartutil.DefaultCapabilities.Copy()
	if chosen.kubeVersion != "" {
		version, err := chartutil.ParseKubeVersion(chosen.kubeVersion)
		if err != nil {
			return nil, fmt.Errorf("invalid kube version %q: %w", chosen.kubeVersion, err)
		}
		able.KubeVersion = *version
	}
	if chosen.apiVersions != "" {
		able.APIVersions = append(able.APIVersions, strings.Split(chosen.apiVersions, ",")...)
	}
	return able, nil
}

func compatible(loaded *chart.Chart, able *chartutil.Capabilities) error {
	wanted := loaded.Metadata.KubeVersion
	if wanted == "" || chartutil.IsCompatibleRange(wanted, able.KubeVersion.String()) {
		return nil
	}
	return fmt.Errorf("chart requires kubeVersion: %s which is incompatible with Kubernetes %s",
		wanted, able.KubeVersion.String())
}

func printed(
	rendered map[string]string, able *chartutil.Capabilities, notes bool, out io.Writer,
) error {
	for path, text := range rendered {
		if !strings.HasSuffix(path, "NOTES.txt") {
			continue
		}
		if notes {
			_, err := io.WriteString(out, text)
			return err
		}
		delete(rendered, path)
	}
	hooks, manifests, err := releaseutil.SortManifests(
		rendered, able.APIVersions, releaseutil.InstallOrder)
	if err != nil {
		return err
	}
	for _, one := range manifests {
		fmt.Fprintf(out, "---\n# Source: %s\n%s\n", one.Name, one.Content)
	}
	sort.SliceStable(hooks, func(i, j int) bool { return hooks[i].Weight < hooks[j].Weight })
	for _, one := range hooks {
		fmt.Fprintf(out, "---\n# Source: %s\n%s\n", one.Path, one.Manifest)
	}
	return nil
}

func check(folder string, chosen options, out io.Writer) error {
	values, err := merged(chosen.files)
	if err != nil {
		return err
	}
	able, err := capabilities(chosen)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, "Chart.yaml")); err != nil {
		return err
	}
	found := lint.AllWithKubeVersion(folder, values, chosen.namespace, &able.KubeVersion)
	for _, message := range found.Messages {
		fmt.Fprintln(out, message)
	}
	limit := support.ErrorSev
	if chosen.strict {
		limit = support.WarningSev
	}
	if found.HighestSeverity >= limit {
		return fmt.Errorf("%s is not clean", folder)
	}
	return nil
}
