# shellcheck shell=bash disable=SC2034
# A test cluster: four nodes n1..n4 on one machine, loopback only, with character devices for GPUs: geometry is real,
# CUDA is not. Continuous integration runs here.

SITE_PARTITION=main
SITE_ACCOUNT=none
SITE_MAX_TIME=
SITE_GPUS_PER_NODE=1
SITE_GRES=gpu
SITE_CPUS_PER_NODE=0
SITE_MODULES=''
SITE_MPI=mpirun
SITE_MPI_ARGS=''
SITE_BINDS=''
SITE_GPU_FLAG=''
SITE_ARGS='backend.device=cpu tracking=later'
export PRTE_MCA_if_include=lo OMPI_MCA_btl_tcp_if_include=lo
