// Command otelcol is an OpenTelemetry collector with the components that this project's profiles use, and no others.
package main

import (
	"log"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/converter/expandconverter"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/otelcol"
)

// version is that of the collector's modules; the build sets it from go.mod.
var version = "unknown"

func main() {
	// Nothing that fetches configuration over a network. (`validate` of this version has its own fixed set.)
	providers := map[string]confmap.Provider{}
	for _, provider := range []confmap.Provider{
		envprovider.NewWithSettings(confmap.ProviderSettings{}),
		fileprovider.NewWithSettings(confmap.ProviderSettings{}),
		yamlprovider.NewWithSettings(confmap.ProviderSettings{}),
	} {
		providers[provider.Scheme()] = provider
	}
	settings := otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{
			Command:     "otelcol",
			Description: "OpenTelemetry collector of the Letta platform",
			Version:     version,
		},
		Factories: components,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{
			ResolverSettings: confmap.ResolverSettings{
				Providers: providers,
				// Without it a doubled `$` would stay doubled.
				Converters: []confmap.Converter{expandconverter.New(confmap.ConverterSettings{})},
			},
		},
	}
	if err := otelcol.NewCommand(settings).Execute(); err != nil {
		log.Fatalf("collector ended: %v", err)
	}
}
