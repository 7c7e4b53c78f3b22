/**
 * MCP's own conformance suite (npm `@modelcontextprotocol/conformance`) against a node's `/mcp`. The suite is made for a
 * server of fixtures (`test_simple_text`, an image, a prompt …); these scenarios are the ones that ask nothing but the
 * protocol of a server whose tools are its own. The others need fixtures that a node has no business to serve, or what this server
 * says it does not have: prompts, resources, completion, logging, sampling and elicitation.
 */
export const CONFORMANCE = '@modelcontextprotocol/conformance@0.1.16'

const SCENARIOS = ['server-initialize', 'ping', 'tools-list', 'dns-rebinding-protection'] as const

export type Run = (
  command: string,
  args: readonly string[],
  options: { readonly cwd: string },
) => Promise<string>

/** @throws Error with what the suite found wrong */
export async function conformance(dir: string, url: string, run: Run): Promise<string> {
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts']
  await run('npm', ['install', ...quiet, CONFORMANCE], { cwd: dir })
  let passed = 0
  for (const scenario of SCENARIOS) {
    const line = ['conformance', 'server', '--url', `${url}/mcp`, '--scenario', scenario]
    const printed = await run('npx', line, { cwd: dir })
    const [, good, failed] = /Passed: (\d+)\/\d+, (\d+) failed/.exec(printed) ?? []
    if (failed !== '0') throw new Error(`${scenario}: ${printed.slice(-1_500)}`)
    passed += Number(good)
  }
  return `${SCENARIOS.length} scenarios of the conformance suite, ${passed} checks`
}
