/** How much harm a call can do. */
export type BlastRadius = 'safe' | 'low' | 'medium' | 'high' | 'unknown'

interface Kind {
  /** A short tag for clients, such as `fs-delete`. */
  readonly category: string
  readonly radius: 'low' | 'medium' | 'high'
  /** One sentence for the person who is asked. */
  readonly reason: string
}

/** Words of one simple command that do harm, wherever they stand in it. */
export interface DestructiveWords extends Kind {
  /** Program and sub-commands; others may stand between them. */
  readonly words: string
  /** One of them must be there as well; a flag of one letter also counts within a cluster, a long one with a value. */
  readonly flags?: readonly string[]
  /** Words of everyday language count only as the name of the program. */
  readonly first?: true
}

/** Text that does harm, wherever it stands in the whole command. */
export interface DestructiveText extends Kind {
  readonly pattern: RegExp
}

const deletes: Kind = { category: 'fs-delete', radius: 'high', reason: 'Deletes files or directories.' }
const overwrites: Kind = { category: 'fs-overwrite', radius: 'high', reason: 'Overwrites files in place.' }
const disk: Kind = { category: 'disk', radius: 'high', reason: 'Writes to disks or file systems directly.' }
const rights: Kind = { category: 'fs-rights', radius: 'medium', reason: 'Changes owners or rights of files.' }
const privilege: Kind = { category: 'privilege', radius: 'high', reason: 'Runs with the rights of another user.' }
const remoteCode: Kind = {
  category: 'remote-code',
  radius: 'high',
  reason: 'Runs text as a program without showing it.',
}
const processes: Kind = { category: 'process-kill', radius: 'medium', reason: 'Ends processes.' }
const machine: Kind = { category: 'system', radius: 'high', reason: 'Stops or reconfigures the machine.' }
const history: Kind = {
  category: 'vcs-history',
  radius: 'high',
  reason: 'Rewrites or removes history that others may share.',
}
const work: Kind = {
  category: 'vcs-discard',
  radius: 'medium',
  reason: 'Throws away work that is not committed or not merged.',
}
const containers: Kind = {
  category: 'container-delete',
  radius: 'medium',
  reason: 'Removes or ends containers or images.',
}
const volumes: Kind = { category: 'volume-delete', radius: 'high', reason: 'Removes volumes with their data.' }
const cluster: Kind = { category: 'cluster-delete', radius: 'high', reason: 'Removes or drains parts of a cluster.' }
const cloud: Kind = { category: 'cloud-delete', radius: 'high', reason: 'Changes or removes cloud resources.' }
const database: Kind = { category: 'data-delete', radius: 'high', reason: 'Removes data from a database.' }
const packages: Kind = { category: 'package-remove', radius: 'medium', reason: 'Removes installed packages.' }
const publishes: Kind = {
  category: 'publish',
  radius: 'high',
  reason: 'Publishes or withdraws something for everybody.',
}

export const destructiveWords: readonly DestructiveWords[] = [
  { ...deletes, words: 'find', flags: ['-delete'] },
  { ...deletes, words: 'rsync', flags: ['--delete', '--remove-source-files'] },
  { ...deletes, words: 'rclone delete' },
  { ...deletes, words: 'rclone purge' },
  { ...overwrites, words: 'truncate' },
  { ...overwrites, words: 'dd', flags: ['of'] },
  ...each(disk, ['mkfs', 'mkswap', 'fdisk', 'sfdisk', 'parted', 'sgdisk', 'wipefs', 'blkdiscard', 'diskutil']),
  ...each(disk, ['mkfs.ext4', 'mkfs.ext3', 'mkfs.xfs', 'mkfs.btrfs', 'mkfs.vfat']),
  ...['chmod', 'chown', 'chgrp'].map((words) => ({ ...rights, words, flags: ['-R', '--recursive'] })),
  ...['777', '0777', 'a+rwx', 'u+s', '4755'].map((mode) => ({ ...rights, words: `chmod ${mode}` })),
  { ...rights, words: 'setfacl' },
  ...each(privilege, ['sudo', 'doas', 'pkexec']),
  { ...privilege, words: 'su', first: true },
  { ...remoteCode, words: 'eval', first: true },
  ...each(processes, ['killall', 'pkill', 'taskkill']),
  { ...processes, words: 'kill', first: true },
  ...['shutdown', 'reboot', 'poweroff', 'halt'].map((words) => ({ ...machine, words, first: true as const })),
  ...['stop', 'disable', 'mask', 'restart', 'isolate'].map((verb) => ({ ...machine, words: `systemctl ${verb}` })),
  { ...machine, words: 'iptables', flags: ['-F', '--flush', '-X', '-P'] },
  { ...machine, words: 'ufw disable' },
  { ...machine, words: 'nft flush' },
  { ...machine, words: 'crontab', flags: ['-r'] },
  { ...machine, words: 'sysctl', flags: ['-w'] },
  ...['userdel', 'groupdel', 'usermod', 'passwd', 'visudo'].map((words) => ({
    ...machine,
    words,
    first: true as const,
  })),
  {
    ...history,
    words: 'git push',
    flags: ['-f', '--force', '--force-with-lease', '-d', '--delete', '--mirror', '--prune'],
  },
  ...each(history, [
    'git filter-branch',
    'git filter-repo',
    'git reflog expire',
    'git reflog delete',
    'git update-ref',
  ]),
  { ...history, words: 'git gc', flags: ['--prune'] },
  { ...history, words: 'git remote remove' },
  { ...history, words: 'git tag', flags: ['-d', '--delete'] },
  { ...work, words: 'git reset', flags: ['--hard', '--merge', '--keep'] },
  { ...work, words: 'git clean', flags: ['-f', '--force'] },
  { ...work, words: 'git checkout', flags: ['--', '.', '-f', '--force'] },
  { ...work, words: 'git switch', flags: ['-f', '--force', '--discard-changes'] },
  { ...work, words: 'git branch', flags: ['-D', '-d', '--delete', '-f', '--force'] },
  { ...work, words: 'git worktree remove' },
  ...each(work, ['git restore', 'git stash drop', 'git stash clear']),
  { ...volumes, words: 'docker compose down', flags: ['-v', '--volumes'] },
  ...each(volumes, ['docker volume rm', 'docker volume prune', 'podman volume rm', 'podman volume prune']),
  ...['docker', 'podman'].flatMap((program) =>
    ['rm', 'rmi', 'kill', 'stop', 'prune', 'down'].map((verb) => ({ ...containers, words: `${program} ${verb}` })),
  ),
  ...each(cluster, ['kubectl delete', 'kubectl drain', 'kubectl replace', 'helm uninstall', 'helm delete']),
  ...each(cloud, ['terraform destroy', 'terraform apply', 'tofu destroy', 'tofu apply', 'pulumi destroy', 'pulumi up']),
  ...each(cloud, ['aws s3 rb', 'aws s3 rm', 'gcloud delete', 'az delete', 'gh repo delete', 'gh release delete']),
  { ...cloud, words: 'aws s3 sync', flags: ['--delete'] },
  ...each(database, ['dropdb', 'redis-cli flushall', 'redis-cli flushdb']),
  ...['apt', 'apt-get', 'yum', 'dnf', 'brew', 'pip', 'pip3', 'npm', 'snap', 'apk'].flatMap((program) =>
    ['remove', 'purge', 'autoremove', 'uninstall', 'erase'].map((verb) => ({
      ...packages,
      words: `${program} ${verb}`,
    })),
  ),
  ...each(publishes, ['npm publish', 'npm unpublish', 'pnpm publish', 'yarn publish', 'cargo publish', 'cargo yank']),
  ...each(publishes, ['gem push', 'twine upload', 'docker push', 'podman push']),
  // Last, so that what `git rm` and `docker rm` remove is named by its own kind.
  { ...work, words: 'git rm' },
  ...each(deletes, ['rm', 'rmdir', 'unlink', 'shred', 'srm', 'trash', 'rimraf', 'del', 'Remove-Item']),
]

export const destructiveTexts: readonly DestructiveText[] = [
  { ...remoteCode, pattern: /\|\s*(?:[\w./-]{0,100}\/)?(?:env\s+)?(?:ba|z|da|k|fi|c|tc)?sh(?![\w-])/ },
  { ...remoteCode, pattern: /\|\s*(?:[\w./-]{0,100}\/)?(?:env\s+)?(?:python[\d.]*|perl|ruby|node|php)(?![\w-])/ },
  { ...remoteCode, pattern: /(?:^|[\s/])(?:ba|z|da|k)?sh\s+<\s*\(/ },
  { ...remoteCode, pattern: /\$\(\s*(?:curl|wget)\s/ },
  { ...machine, pattern: /:\s*\(\s*\)\s*\{/, reason: 'Starts processes without end.' },
  { ...machine, pattern: />>?\s*(?:\/etc|\/boot|\/sys|\/proc|\/usr|\/bin|\/sbin|\/lib)\// },
  { ...privilege, pattern: /\.ssh\/authorized_keys/, reason: 'Touches the keys that open this account.' },
  { ...disk, pattern: />\s*\/dev\/(?:sd|hd|vd|xvd|nvme|mmcblk|disk)/ },
  { ...history, pattern: /\bgit\s+push\s[^;&|\n]{0,200}\s(?:\+|:)[\w./-]/ },
  { ...database, pattern: /\b(?:drop|truncate)\s+(?:table|database|schema|index|view|user|role|collection)\b/i },
  { ...database, pattern: /\bdelete\s+from\s+\w/i },
  { ...database, pattern: /\bdropDatabase\s*\(/ },
  { ...cloud, pattern: /\baws\s[^;&|\n]{0,200}\s(?:delete|terminate|deregister|purge)-[a-z]/ },
  { ...deletes, pattern: /\b(?:rmtree|os\.remove|os\.unlink|unlinkSync|rmSync|rm_rf|File\.delete)\s*\(/ },
  { ...deletes, pattern: /\b(?:rd|rmdir|del|erase)\s+\/[sqf]\b/i },
  { ...disk, pattern: /\bformat\s+[a-z]:/i },
]

/** A command that only reads. */
export interface SafeCommand {
  /** Program and sub-commands that the command begins with. */
  readonly words: string
  /** Flags that write, run programs or read what must not be read. */
  readonly flags?: readonly string[]
  /** When given, every further word must be one of these. */
  readonly only?: readonly string[]
}

const gitOutput = ['--output', '--ext-diff']

export const safeCommands: readonly SafeCommand[] = [
  ...plain([
    'ls',
    'pwd',
    'cat',
    'head',
    'tail',
    'wc',
    'stat',
    'which',
    'type',
    'whoami',
    'id',
    'groups',
    'uname',
    'echo',
  ]),
  ...plain(['du', 'df', 'ps', 'free', 'uptime', 'nproc', 'arch', 'basename', 'dirname', 'realpath', 'readlink', 'cal']),
  ...plain([
    'grep',
    'egrep',
    'fgrep',
    'diff',
    'cmp',
    'comm',
    'cut',
    'nl',
    'tac',
    'rev',
    'fold',
    'column',
    'expand',
    'true',
  ]),
  ...plain(['md5sum', 'sha1sum', 'sha256sum', 'sha512sum', 'cksum', 'od', 'strings', 'jq', 'test', 'false', 'seq']),
  { words: 'file', flags: ['-C', '--compile'] },
  { words: 'tree', flags: ['-o', '-R'] },
  { words: 'sort', flags: ['-o', '--output', '--compress-program', '-T', '--temporary-directory'] },
  { words: 'rg', flags: ['--pre', '--hostname-bin', '-z', '--search-zip'] },
  {
    words: 'find',
    flags: ['-exec', '-execdir', '-ok', '-okdir', '-delete', '-fprint', '-fprint0', '-fprintf', '-fls'],
  },
  { words: 'date', only: ['-u', '--utc', '-I', '-R', '-Iseconds', '+%s', '+%F', '+%T', '+%Y-%m-%d'] },
  { words: 'hostname', only: ['-f', '-s', '-i', '-I'] },
  { words: 'git status', flags: gitOutput },
  ...['git log', 'git diff', 'git show', 'git shortlog', 'git blame', 'git describe', 'git rev-parse'].map((words) => ({
    words,
    flags: gitOutput,
  })),
  ...plain(['git ls-files', 'git ls-tree', 'git rev-list', 'git merge-base', 'git stash list', 'git worktree list']),
  { words: 'git grep', flags: ['-O', '--open-files-in-pager'] },
  { words: 'git branch', only: ['-a', '--all', '-r', '--remotes', '-v', '-vv', '--list', '--show-current'] },
  { words: 'git tag', only: ['-l', '--list'] },
  { words: 'git remote', only: ['-v', '--verbose'] },
  { words: 'git reflog', only: [] },
  { words: 'go env', flags: ['-w', '-u'] },
  ...plain([
    'go version',
    'go doc',
    'npm ls',
    'npm list',
    'pip list',
    'pip show',
    'pip freeze',
    'pip3 list',
    'docker version',
  ]),
  ...plain(['docker ps', 'docker images', 'docker logs', 'docker inspect', 'docker info']),
  ...plain(['docker container ls', 'docker image ls', 'docker volume ls', 'docker network ls', 'docker compose ps']),
  ...['kubectl get', 'kubectl describe', 'kubectl logs', 'kubectl version'].map((words) => ({
    words,
    flags: ['--kubeconfig', '--raw'],
  })),
  { words: 'kubectl config current-context', only: [] },
  ...plain(['apt list', 'apt-cache search', 'apt-cache show', 'brew list', 'dpkg -l']),
  ...[
    ...[
      'node',
      'npm',
      'pnpm',
      'yarn',
      'bun',
      'deno',
      'tsc',
      'python',
      'python3',
      'pip',
      'pip3',
      'cargo',
      'rustc',
      'java',
    ],
    ...['ruby', 'docker', 'git', 'make', 'gcc', 'clang', 'cmake', 'mvn', 'gradle', 'terraform', 'helm', 'php', 'perl'],
  ].map((program) => ({ words: `${program} --version`, only: [] })),
  { words: 'node -v', only: [] },
  { words: 'npm -v', only: [] },
]

function each(kind: Kind, commands: readonly string[]): readonly DestructiveWords[] {
  return commands.map((words) => ({ ...kind, words }))
}

function plain(commands: readonly string[]): readonly SafeCommand[] {
  return commands.map((words) => ({ words }))
}
