"""The backups of MySQL that deploy/backup/mysql-backup.sh makes."""
