import org.junit.Test

import static org.junit.Assert.*

class JenkinsfileTest extends DeclarativePipeline {
  static final STAGES = 'deploy/jenkins/stages/'
  static final BUILT = ['Checkout', 'Check', 'Test', 'Build', 'Scan', 'Bill of materials']
  static final DEPLOYED = ['Provision', 'Configure', 'Deploy', 'Connectors', 'Targets', 'Validate']

  int count(String part) { commands().count { it.contains(part) } }
  Map call(String part) { ran.find { it.script.contains(part) } }
  String told() { ran.find { it.script.contains('notify.sh') }.env.STATUS }

  @Test void 'all stages run in order and people are told'() {
    run(ENVIRONMENT: 'test', DEPLOY: true)
    if (error) throw error

    assertEquals(BUILT + ['Plan'] + DEPLOYED + ['Clean up stacks'], stages)
    assertEquals('success', told())
    assertEquals(0, count('rollback.sh'))
    assertEquals([], asked)
    // For the test that runs each of these commands.
    commands().unique().each { println "ran: $it" }
  }

  @Test void 'without DEPLOY nothing outside is touched'() {
    run(ENVIRONMENT: 'production', DEPLOY: false)

    assertEquals(BUILT, stages)
    assertEquals([], ran.findAll { it.script =~ /aws|ansible|--host/ })
    assertEquals('success', told())
  }

  @Test void 'production waits for whoever read the plan'() {
    answer = { assertEquals(0, count('provision.sh')) }
    run(ENVIRONMENT: 'production', DEPLOY: true)
    if (error) throw error

    assertEquals(1, asked.size())
    assertTrue(asked[0].contains('Add Host (AWS::EC2::Instance)'))
    assertEquals(BUILT + ['Plan', 'Approve'] + DEPLOYED, stages)
    assertEquals(0, count('deploy/aws/clean-up.sh'))
  }

  @Test void 'a refusal changes nothing and is told'() {
    answer = { throw new DeclarativePipeline.Refused() }
    run(ENVIRONMENT: 'production', DEPLOY: true)

    assertEquals(0, count('provision.sh'))
    assertEquals(0, count('rollback.sh'))
    assertEquals('aborted', told())
    assertEquals(1, count('stages/clean-up.sh'))
  }

  @Test void 'connectors that need a second try get it'() {
    fails['connectors.sh'] = 2
    run(ENVIRONMENT: 'test', DEPLOY: true)
    if (error) throw error

    assertEquals(3, count('connectors.sh'))
    assertEquals('success', told())
  }

  @Test void 'what fails after its deployment goes back to the release before'() {
    for (part in ['stages/deploy.sh', 'connectors.sh', 'targets.sh', 'validate.sh']) {
      ran.clear(); stages.clear(); fails.clear(); post.clear(); error = null
      result.currentResult = 'SUCCESS'
      env.remove('DEPLOYING')
      fails[part] = -1
      run(ENVIRONMENT: 'test', DEPLOY: true)

      assertNotNull(part, error)
      assertEquals(part, 1, count('rollback.sh'))
      assertEquals(part, ['mlops-ssh-key'], call('rollback.sh').keys)
      assertEquals(part, 'rolled-back', told())
      assertEquals(part, 1, count('stages/clean-up.sh'))
      assertEquals(part, 'FAILURE', result.currentResult)
    }
  }

  @Test void 'what fails before its deployment leaves the host alone'() {
    fails['./test.sh'] = -1
    run(ENVIRONMENT: 'test', DEPLOY: true)

    assertEquals(['Checkout', 'Check', 'Test'], stages)
    assertEquals(0, count('--host'))
    assertEquals('failure', told())
    assertEquals(1, count('stages/clean-up.sh'))
  }

  @Test void 'a rollback that fails is told, too'() {
    fails['validate.sh'] = -1
    fails['rollback.sh'] = -1
    run(ENVIRONMENT: 'test', DEPLOY: true)

    assertEquals('rollback-failed', told())
    assertEquals(1, count('stages/clean-up.sh'))
  }

  @Test void 'a validated release stays when only the clean-up of stacks fails'() {
    fails['deploy/aws/clean-up.sh'] = -1
    run(ENVIRONMENT: 'test', DEPLOY: true)

    assertEquals(0, count('rollback.sh'))
    assertEquals('failure', told())
  }

  @Test void 'secrets are seen by the commands that need them alone'() {
    run(ENVIRONMENT: 'test', DEPLOY: true)

    def databases = ['stroke-mysql-root-password', 'stroke-mysql-password', 'stroke-cdc-password',
                     'stroke-lake-password', 'stroke-mssql']
    ran.each { each ->
      def script = each.script
      assertEquals(script, script =~ /plan.sh|provision.sh|aws.clean-up/ ? true : false,
                   'aws-jenkins-creds' in each.secrets)
      assertEquals(script, script.contains('configure.sh'), each.secrets.containsAll(databases))
      assertEquals(script, script.contains('--host'), 'mlops-ssh-key' in each.keys)
      assertEquals(script, script.contains('notify.sh'), 'stroke-notify-url' in each.secrets)
    }
    // The shell expands them, not Groovy: else they stood in Jenkins' log.
    assertEquals(['build-7'], ran*.env.RELEASE.unique())
    assertFalse(commands().any { it.contains('build-7') })
  }
}
