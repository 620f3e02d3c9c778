package main

import (
	"context"
	"io"
	"strconv"

	sdk "github.com/pulumi/pulumi/sdk/v3"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// runPolicyPack runs a policy pack until ctx ends. The Python library wants the stack's configuration in its environment
// when it starts, while the engine sends it only after the pack has answered. The SDK's proxy is between them: it
// answers first, waits for the configuration, and forwards every later call to the real pack.
func runPolicyPack(
	ctx context.Context, python *python, pack string, req *pulumirpc.RunPluginRequest, stdout, stderr io.Writer,
) error {
	proxy, packOutput, err := sdk.NewPolicyProxy(ctx, stdout)
	if err != nil {
		return err
	}
	stack, err := proxy.AwaitConfiguration(ctx)
	if err != nil {
		return err
	}
	arguments := append([]string{"-u", "-m", "pulumi.policy"}, req.Args...)
	cmd, err := python.command(ctx, append(arguments, pack)...)
	if err != nil {
		return err
	}
	cmd.Dir = pack
	cmd.Env = append(cmd.Environ(), req.Env...)
	if stack != nil { // nil when the engine only lists the pack's rules
		cmd.Env = append(cmd.Env, configuration(stack.Config, stack.ConfigSecretKeys)...)
		cmd.Env = append(cmd.Env,
			"PULUMI_ORGANIZATION="+stack.Organization,
			"PULUMI_PROJECT="+stack.Project,
			"PULUMI_STACK="+stack.Stack,
			"PULUMI_DRY_RUN="+strconv.FormatBool(stack.DryRun),
		)
	}
	cmd.Stdout, cmd.Stderr = packOutput, stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	return proxy.Attach(ctx, cmd)
}
