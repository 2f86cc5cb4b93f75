import com.lesfurets.jenkins.unit.BasePipelineTest

/**
 * Jenkins' declarative syntax as far as the Jenkinsfile uses it, on a runner that knows the scripted one
 * only. It keeps to Jenkins' order: a stage that fails skips those after it; then the conditions of
 * `post`, success or unsuccessful before cleanup.
 *
 * `sh` is recorded with the credentials and the agent's keys it could see, not run; `fails` says which
 * calls fail, and how often.
 */
abstract class DeclarativePipeline extends BasePipelineTest {
  List<Map> ran = []                     // script, secrets, keys, env
  List<String> stages = []
  List<String> asked = []
  Map<String, Integer> fails = [:]       // a part of the command: how many times (-1: always)
  Closure answer = { }                   // to `input`; throws to refuse
  Throwable error
  Map<String, Closure> post = [:]
  List<String> secrets = [], keys = []
  Map<String, String> env = [JOB_NAME: 'stroke', BUILD_NUMBER: '7', BUILD_URL: 'https://ci/7', HOME: '/home/jenkins']
  Map files = ['build/plan.txt': 'Add Host (AWS::EC2::Instance)', 'build/host': '192.0.2.7\n']
  Map result = [currentResult: 'SUCCESS']

  static class Refused extends RuntimeException { Refused() { super('refused') } }
  static class NotWhen extends RuntimeException { }

  void prepare(Map parameters) {
    scriptRoots = ['/pipeline'] as String[]
    scriptExtension = ''
    super.setUp()
    binding.setVariable('params', parameters)
    binding.setVariable('env', env)
    binding.setVariable('scm', 'scm')
    binding.setVariable('currentBuild', result)
    structure()
    steps()
  }

  void run(Map parameters) {
    prepare(parameters)
    runScript('Jenkinsfile')
  }

  List<String> commands() { ran*.script }

  void on(String name, List types, Closure body) { helper.registerAllowedMethod(name, types, body) }

  void structure() {
    ['agent', 'options', 'parameters', 'label'].each { on(it, [Closure], { }) }
    ['stages', 'steps', 'script'].each { on(it, [Closure], { c -> c.delegate = delegate; c() }) }
    on('pipeline', [Closure], { c ->
      try { c() } catch (Throwable t) { failed(t) }
      [error ? 'unsuccessful' : 'success', 'cleanup'].each { condition ->
        try { post[condition]?.call() } catch (Throwable t) { failed(t) }
      }
    })
    on('environment', [Closure], { c ->
      c.delegate = new Assigned(env: env, parameters: binding.getVariable('params'))
      c.resolveStrategy = Closure.DELEGATE_FIRST
      c()
    })
    on('stage', [String, Closure], { name, c ->
      if (error) return
      stages << name
      try { c() } catch (NotWhen n) { stages.remove(name) } catch (Throwable t) { failed(t) }
    })
    on('when', [Closure], { c -> if (!c()) throw new NotWhen() })
    on('expression', [Closure], { c -> c() })
    on('post', [Closure], { c -> c() })
    ['success', 'unsuccessful', 'cleanup'].each { name -> on(name, [Closure], { c -> post[name] = c }) }
  }

  void steps() {
    on('checkout', [String], { })
    on('archiveArtifacts', [Map], { })
    on('timeout', [Map, Closure], { m, c -> c() })
    on('readFile', [String], { files[it] })
    on('input', [Map], { m -> asked << m.message; answer() })
    ['string', 'aws', 'file', 'usernamePassword'].each { on(it, [Map], { m -> m }) }
    on('withCredentials', [List, Closure], { l, c -> within(secrets, l*.credentialsId, c) })
    on('sshagent', [Map, Closure], { m, c -> within(keys, m.credentials, c) })
    on('withEnv', [List, Closure], { l, c ->
      l.each { def (name, value) = it.toString().split('=', 2); env[name] = value }
      c()
    })
    on('catchError', [Map, Closure], { m, c -> try { c() } catch (Throwable t) { failed(t) } })
    on('retry', [Integer, Closure], { n, c ->
      for (int i = 1; ; i++) { try { return c() } catch (RuntimeException e) { if (i == n) throw e } }
    })
    on('sh', [String], { script ->
      ran << [script: script, secrets: secrets.collect(), keys: keys.collect(), env: new HashMap(env)]
      def hit = fails.find { part, times -> script.contains(part) && times != 0 }
      if (hit) { fails[hit.key] = hit.value - 1; throw new RuntimeException('script returned exit code 1') }
    })
  }

  def within(List names, List more, Closure c) {
    def before = names.collect()
    names.addAll(more)
    try { return c() } finally { names.clear(); names.addAll(before) }
  }

  void failed(Throwable t) {
    error = error ?: t
    result.currentResult = t instanceof Refused ? 'ABORTED' : 'FAILURE'
  }

  /** Takes the assignments of an `environment` block. */
  static class Assigned {
    Map env, parameters
    void setProperty(String name, Object value) {
      if (name in ['env', 'parameters']) { this.@"$name" = value } else { env[name] = value.toString() }
    }
  }
}
