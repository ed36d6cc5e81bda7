/**
 * Commands of documents and examples, run by the shell of this machine.
 *
 * @module
 */

/** Tells whether a program is on the path. */
export function hasProgram(name: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${name}`).isFile;
    } catch {
      return false;
    }
  });
}

/** Runs a shell script at the root of the repository. Tests may only run `deno`, and its tasks may run the shell. */
export async function runShell(
  script: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly success: boolean; readonly stdout: string; readonly stderr: string }> {
  const child = new Deno.Command("deno", {
    args: ["task", "--quiet", "--eval", "sh"],
    cwd: new URL("../../", import.meta.url),
    env: { NO_COLOR: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(script));
  await input.close();
  const { success, stdout, stderr } = await child.output();
  return { success, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}
