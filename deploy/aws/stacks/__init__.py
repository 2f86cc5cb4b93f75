"""What deploy/aws/deploy.sh and clean-up.sh run: plan, apply, remove and list the stacks."""
