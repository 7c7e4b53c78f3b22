// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Predeploys} from "./Predeploys.sol";
import {Staking} from "./open/Staking.sol";

/// @title ProviderRegistry
/// @notice Who answers questions, where, for which models, and from what price on. A listing needs a bond of the
/// provider's own in Staking, and counts while that bond stands and it has been renewed within
/// `LISTING_SECONDS`: whoever routes questions need not try those who went away long ago. What a provider
/// answers wrongly is reported in ReceiptRegistry, and its bond can be slashed by verdict; this contract holds no
/// money.
contract ProviderRegistry {
    struct Terms {
        /// How to reach its peer: multiaddrs (libp2p) or URLs, separated by spaces; may be empty when peers find it.
        string endpoint;
        /// libp2p peer id, base58.
        string peerId;
        /// The base it has resident; it serves models over this base.
        bytes32 baseHash;
        /// Least prices it serves for, OPEN wei per token: of a model that costs less it serves nothing.
        uint256 rateInMin;
        uint256 rateOutMin;
        /// None: every registered model over its base.
        bytes32[] models;
    }

    struct Provider {
        Terms terms;
        uint64 listedAt;
        uint64 renewedAt;
    }

    event Listed(address indexed provider, Terms terms);
    event Renewed(address indexed provider);
    event Delisted(address indexed provider);

    /// @notice Bond in Staking's pool (PROVIDER, provider) first; of its own, without delegations.
    error BondTooSmall(address provider, uint256 bond, uint256 bondMin);
    error TermsOutOfBounds(uint256 endpointBytes, uint256 peerIdBytes, uint256 models);
    error NotListed(address provider);
    error TooManyProviders(uint256 max);

    uint256 public constant BOND_MIN = 100 ether;
    uint256 public constant LISTING_SECONDS = 1 days;
    uint256 public constant PROVIDERS_MAX = 4_096;
    uint256 public constant MODELS_MAX = 64;
    uint256 public constant ENDPOINT_BYTES_MAX = 512;
    uint256 public constant PEER_ID_BYTES_MAX = 64;
    /// @notice Listings one `page` returns.
    uint256 public constant PAGE_MAX = 256;

    address[] private _all; // slot 0
    /// Position in `_all` plus one.
    mapping(address provider => uint256) private _places; // slot 1
    mapping(address provider => Provider) private _providers; // slot 2

    /// @notice Lists the caller, or changes its listing.
    function list(Terms calldata terms) external {
        (uint256 bond,) =
            Staking(payable(Predeploys.STAKING)).bondOf(Staking.Role.PROVIDER, msg.sender);
        if (bond < BOND_MIN) revert BondTooSmall(msg.sender, bond, BOND_MIN);
        (uint256 endpoint, uint256 peerId) =
            (bytes(terms.endpoint).length, bytes(terms.peerId).length);
        if (
            endpoint > ENDPOINT_BYTES_MAX || peerId == 0 || peerId > PEER_ID_BYTES_MAX
                || terms.models.length > MODELS_MAX
        ) {
            revert TermsOutOfBounds(endpoint, peerId, terms.models.length);
        }
        Provider storage provider = _providers[msg.sender];
        if (_places[msg.sender] == 0) {
            if (_all.length == PROVIDERS_MAX) revert TooManyProviders(PROVIDERS_MAX);
            _all.push(msg.sender);
            _places[msg.sender] = _all.length;
            provider.listedAt = uint64(block.timestamp);
        }
        provider.terms = terms;
        provider.renewedAt = uint64(block.timestamp);
        emit Listed(msg.sender, terms);
    }

    /// @notice Says that the caller is still there.
    function renew() external {
        if (_places[msg.sender] == 0) revert NotListed(msg.sender);
        _providers[msg.sender].renewedAt = uint64(block.timestamp);
        emit Renewed(msg.sender);
    }

    function delist() external {
        if (_places[msg.sender] == 0) revert NotListed(msg.sender);
        _remove(msg.sender);
    }

    /// @notice Takes a place from one that is not active any more; anybody.
    function sweep(address provider) external {
        if (_places[provider] == 0) revert NotListed(provider);
        if (!isActive(provider)) _remove(provider);
    }

    function providerCount() external view returns (uint256) {
        return _all.length;
    }

    function providerOf(address provider) external view returns (Provider memory) {
        return _providers[provider];
    }

    /// @notice Listed, renewed lately, and bonded.
    function isActive(address provider) public view returns (bool) {
        if (_places[provider] == 0) return false;
        if (block.timestamp > _providers[provider].renewedAt + LISTING_SECONDS) return false;
        (uint256 bond,) =
            Staking(payable(Predeploys.STAKING)).bondOf(Staking.Role.PROVIDER, provider);
        return bond >= BOND_MIN;
    }

    /// @notice Listings `from`, `from + 1`, ... at most `count` and `PAGE_MAX`, and which of them are active.
    function page(uint256 from, uint256 count)
        external
        view
        returns (address[] memory addresses, Provider[] memory providers, bool[] memory active)
    {
        uint256 left = from < _all.length ? _all.length - from : 0;
        if (count > PAGE_MAX) count = PAGE_MAX;
        if (count > left) count = left;
        addresses = new address[](count);
        providers = new Provider[](count);
        active = new bool[](count);
        for (uint256 i = 0; i < count; ++i) {
            addresses[i] = _all[from + i];
            providers[i] = _providers[addresses[i]];
            active[i] = isActive(addresses[i]);
        }
    }

    /// The last takes the place of the one that goes.
    function _remove(address provider) private {
        uint256 place = _places[provider];
        address last = _all[_all.length - 1];
        _all[place - 1] = last;
        _places[last] = place;
        _all.pop();
        delete _places[provider];
        delete _providers[provider];
        emit Delisted(provider);
    }
}
